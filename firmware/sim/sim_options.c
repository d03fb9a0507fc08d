#include "sim_options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
    "usage: simboard --mcu CHIP [--f-cpu HZ] (--elf FILE | --hex FILE)... [--bootloader FILE]\n"
    "                [--realtime] [--any-baud] [--stdin-eof] [--report FILE]\n"
    "  --mcu CHIP         with USART0 at 0xC0, such as atmega328p, atmega1284p, atmega2560\n"
    "  --bootloader FILE  an image at whose lowest address the chip starts after a reset\n"
    "  --realtime         never faster than a real board, for programs with their own idea of time\n"
    "  --any-baud         a wrong baud rate does not garble\n"
    "  --stdin-eof        end when standard input ends, so that a parent's death ends it too\n"
    "  --report FILE      counters as JSON, at the end and on SIGUSR1\n"
    "Prints `port PATH` and runs until SIGINT or SIGTERM.\n";

static const struct option long_options[] = {
    {"mcu", required_argument, NULL, 'm'},        {"f-cpu", required_argument, NULL, 'f'},
    {"elf", required_argument, NULL, 'i'},        {"hex", required_argument, NULL, 'i'},
    {"bootloader", required_argument, NULL, 'b'}, {"realtime", no_argument, NULL, 't'},
    {"any-baud", no_argument, NULL, 'a'},         {"stdin-eof", no_argument, NULL, 'e'},
    {"report", required_argument, NULL, 'r'},     {NULL, 0, NULL, 0}};

static bool add_image(options *chosen, const char *path, bool start_here)
{
    if (chosen->image_count == OPTIONS_IMAGES)
        return false;
    chosen->images[chosen->image_count++] = (image_option){path, start_here};
    return true;
}

static bool take(options *chosen, int option, const char *value)
{
    switch (option) {
    case 'm':
        chosen->mcu = value;
        return true;
    case 'f':
        chosen->f_cpu = (uint32_t)strtoul(value, NULL, 10);
        return chosen->f_cpu >= 1000000 && chosen->f_cpu <= 32000000;
    case 'i':
    case 'b':
        return add_image(chosen, value, option == 'b');
    case 't':
        return chosen->realtime = true;
    case 'a':
        return chosen->any_baud = true;
    case 'e':
        return chosen->stdin_eof = true;
    case 'r':
        chosen->report = value;
        return true;
    default:
        return false;
    }
}

bool options_parse(int argc, char **argv, options *chosen)
{
    int option;
    bool sound = true;

    *chosen = (options){.f_cpu = 16000000};
    while (sound && (option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        sound = take(chosen, option, optarg);
    sound = sound && chosen->mcu && chosen->image_count && optind == argc;
    if (!sound)
        fputs(usage, stderr);
    return sound;
}
