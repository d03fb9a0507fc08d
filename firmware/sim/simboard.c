/* The simulated board: an AVR running real firmware behind a pseudo-terminal. This file owns arguments, signals and
 * the order of events; see sim_mcu.h, sim_usart.h, sim_line.h, sim_pty.h and sim_clock.h for the parts.
 * Exit codes: 0 ended on request, 2 wrong usage or image, 3 the program on the board crashed. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim_clock.h"
#include "sim_image.h"
#include "sim_line.h"
#include "sim_mcu.h"
#include "sim_report.h"

#define START_UP_NS 65000000u
#define AHEAD_LIMIT_NS 1000000u /* --realtime: how far simulated time may run ahead */

typedef struct {
    const char *mcu, *report;
    uint32_t f_cpu;
    bool realtime, any_baud, stdin_eof;
} options;

typedef struct {
    options options;
    mcu_t mcu;
    pty_t pty;
    line_t line;
    board_clock clock;
} board_t;

static volatile sig_atomic_t stop_asked, report_asked;

static void on_signal(int number)
{
    if (number == SIGUSR1)
        report_asked = 1;
    else
        stop_asked = 1;
}

static int usage(void)
{
    fputs("usage: simboard --mcu atmega328p|atmega2560 [--f-cpu HZ] (--elf FILE | --hex FILE)... [--bootloader FILE]\n"
          "                [--realtime] [--any-baud] [--stdin-eof] [--report FILE]\n"
          "  --bootloader FILE  an image at whose lowest address the chip starts after a reset\n"
          "  --realtime         never faster than a real board, for programs with their own idea of time\n"
          "  --any-baud         a wrong baud rate does not garble\n"
          "  --stdin-eof        end when standard input ends, so that a parent's death ends it too\n"
          "  --report FILE      counters as JSON, at the end and on SIGUSR1\n"
          "Prints `port PATH` and runs until SIGINT or SIGTERM.\n",
          stderr);
    return 2;
}

static void write_report(board_t *board)
{
    report_asked = 0;
    if (board->options.report)
        report_write(board->options.report, board->options.mcu, &board->mcu, &board->line, &board->clock);
}

/* DTR pulls the reset pin, and an Uno's oscillator takes its time to start (fuses: 65 ms), in which it hears nothing
 * and the host configures its port. Simulated time stands still. */
static void reset_by_dtr(board_t *board)
{
    mcu_reset_pin(&board->mcu);
    clock_update(&board->clock);
    uint64_t end_ns = board->clock.wall_ns + START_UP_NS;
    while (board->clock.wall_ns < end_ns && !stop_asked && !board->pty.ended) {
        const unsigned happened = pty_poll(&board->pty, true, end_ns - board->clock.wall_ns);
        clock_update(&board->clock);
        if (happened & PTY_OPENED)
            end_ns = board->clock.wall_ns + START_UP_NS;
        line_discard(&board->line);
    }
}

static void handle(board_t *board, unsigned happened)
{
    if (happened & PTY_CLOSED)
        line_receive(&board->line);
    if (happened & PTY_OPENED)
        reset_by_dtr(board);
    if (happened & PTY_READABLE)
        line_receive(&board->line);
    line_flush_due(&board->line);
}

/* Asleep with a silent line: wait in wall time until the next timer is due or something happens, whichever is first. */
static void wait_asleep(board_t *board, avr_cycle_count_t cycles)
{
    clock_update(&board->clock);
    const unsigned happened = pty_poll(&board->pty, !board->line.rx_active, clock_wait_ns(&board->clock, cycles));
    clock_update(&board->clock);
    mcu_pass(&board->mcu, clock_allowance(&board->clock, cycles));
    handle(board, happened);
}

static void look_around(board_t *board)
{
    uint64_t wait_ns;

    do {
        clock_update(&board->clock);
        wait_ns = clock_wait_ns(&board->clock, 0); /* only --realtime is ever ahead */
        if (wait_ns < AHEAD_LIMIT_NS)
            wait_ns = 0;
        handle(board, pty_poll(&board->pty, !board->line.rx_active, wait_ns));
    } while (wait_ns && !stop_asked && !board->pty.ended);
}

static int run(board_t *board)
{
    avr_t *avr = board->mcu.avr;
    avr_cycle_count_t next_look = 0;

    while (!stop_asked && !board->pty.ended) {
        const mcu_state state = mcu_step(&board->mcu);
        if (state == MCU_CRASHED) {
            fprintf(stderr, "simboard: the program crashed at pc 0x%05lx, cycle %llu: %s\n", (unsigned long)avr->pc,
                    (unsigned long long)avr->cycle, board->mcu.reason);
            return 3;
        }
        if (report_asked)
            write_report(board);
        if (state == MCU_ASLEEP || state == MCU_HALTED) {
            if (line_busy(&board->line) && !board->options.realtime)
                mcu_pass(&board->mcu, board->mcu.idle);
            else
                wait_asleep(board, board->mcu.idle);
        }
        if (avr->cycle >= next_look) {
            look_around(board);
            next_look = avr->cycle + board->mcu.batch;
        }
    }
    return 0;
}

static bool load(board_t *board, const char *path, bool start_here)
{
    image_extent extent;
    char error[256];

    if (!image_load(board->mcu.avr, path, &extent, error, sizeof error)) {
        fprintf(stderr, "simboard: %s: %s\n", path, error);
        return false;
    }
    if (start_here)
        board->mcu.avr->pc = board->mcu.avr->reset_pc = extent.start;
    return true;
}

enum { OPT_MCU = 1, OPT_F_CPU, OPT_IMAGE, OPT_BOOTLOADER, OPT_REALTIME, OPT_ANY_BAUD, OPT_STDIN_EOF, OPT_REPORT };

static const struct option long_options[] = {{"mcu", required_argument, NULL, OPT_MCU},
                                             {"f-cpu", required_argument, NULL, OPT_F_CPU},
                                             {"elf", required_argument, NULL, OPT_IMAGE},
                                             {"hex", required_argument, NULL, OPT_IMAGE},
                                             {"bootloader", required_argument, NULL, OPT_BOOTLOADER},
                                             {"realtime", no_argument, NULL, OPT_REALTIME},
                                             {"any-baud", no_argument, NULL, OPT_ANY_BAUD},
                                             {"stdin-eof", no_argument, NULL, OPT_STDIN_EOF},
                                             {"report", required_argument, NULL, OPT_REPORT},
                                             {NULL, 0, NULL, 0}};

/* Everything but the images, which need the MCU to exist. */
static bool parse(int argc, char **argv, options *chosen)
{
    unsigned images = 0;
    int option;

    *chosen = (options){.f_cpu = 16000000};
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        switch (option) {
        case OPT_MCU: chosen->mcu = optarg; break;
        case OPT_F_CPU: chosen->f_cpu = (uint32_t)strtoul(optarg, NULL, 10); break;
        case OPT_IMAGE:
        case OPT_BOOTLOADER: images++; break;
        case OPT_REALTIME: chosen->realtime = true; break;
        case OPT_ANY_BAUD: chosen->any_baud = true; break;
        case OPT_STDIN_EOF: chosen->stdin_eof = true; break;
        case OPT_REPORT: chosen->report = optarg; break;
        default: return false;
        }
    return images && optind == argc && chosen->mcu && chosen->f_cpu >= 1000000 && chosen->f_cpu <= 32000000;
}

static bool load_images(board_t *board, int argc, char **argv)
{
    int option;

    optind = 1;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        if ((option == OPT_IMAGE || option == OPT_BOOTLOADER) && !load(board, optarg, option == OPT_BOOTLOADER))
            return false;
    return true;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: a signal ends a wait */

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv)
{
    static board_t board;

    if (!parse(argc, argv, &board.options))
        return usage();
    if (!mcu_create(&board.mcu, board.options.mcu, board.options.f_cpu)) {
        fprintf(stderr, "simboard: --mcu: found %s, need atmega328p or atmega2560\n", board.options.mcu);
        return 2;
    }
    if (!load_images(&board, argc, argv))
        return 2;
    if (!pty_create(&board.pty, board.options.stdin_eof ? STDIN_FILENO : -1)) {
        fprintf(stderr, "simboard: pseudo-terminal: %s; free one or mount /dev/pts\n", strerror(errno));
        return 2;
    }
    if (!line_attach(&board.line, &board.mcu, &board.pty)) {
        fprintf(stderr, "simboard: --mcu: found %s, need one with USART0 at 0xC0, such as atmega328p\n", board.options.mcu);
        return 2;
    }
    board.line.any_baud = board.options.any_baud;
    board.line.hold_time = !board.options.realtime;
    catch_signals();
    printf("port %s\n", board.pty.path);
    fflush(stdout);
    clock_start(&board.clock, board.mcu.avr, board.options.realtime);
    const int status = run(&board);
    write_report(&board);
    pty_destroy(&board.pty);
    mcu_destroy(&board.mcu);
    return status;
}
