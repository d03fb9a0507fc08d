/* Runs an AVR program without a board and counts cycles between the marks it sets. What the program does:
 *   GPIOR0 = k (1..255)  region k starts; a mark inside a region ends that one first
 *   GPIOR0 = 0           the region ends
 *   GPIOR1 = byte        goes to --out; reading GPIOR1 takes the next byte of --in, 0 after its end
 *   GPIOR2               reads 1 while --in has bytes left, else 0
 *   cli + sleep, or main() returning, ends the run
 * A region's cycles are those between the two `out` instructions, neither included: an empty region counts 0, but
 * loading the mark's value into a register counts where the compiler puts it (r1 is 0 already). Interrupts count.
 * Exit codes: 0 ended by itself, 2 wrong usage or image, 3 crashed, ran too long, or left a region open. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_image.h"
#include "sim_mcu.h"

enum {
    GPIOR0 = 0x3E,
    GPIOR1 = 0x4A,
    GPIOR2 = 0x4B
};
#define MARK_CYCLES 1u /* of the closing `out` */
#define RJMP_SELF   0xCFFF

typedef struct {
    uint64_t count, total, min, max;
    uint32_t stack; /* bytes below where the stack stood when the region started, at most */
} region_t;

typedef struct {
    mcu_t mcu;
    region_t regions[256];
    uint8_t open;
    uint64_t opened_at;
    uint16_t opened_sp, region_sp, lowest_sp;
    FILE *in, *out;
    uint64_t bytes_out;
} counter_t;

static void close_region(counter_t *counter, uint64_t now)
{
    region_t *region = &counter->regions[counter->open];
    const uint64_t cycles = now - counter->opened_at - MARK_CYCLES;
    const uint32_t stack = (uint32_t)(counter->opened_sp - counter->region_sp);

    if (!region->count || cycles < region->min)
        region->min = cycles;
    if (cycles > region->max)
        region->max = cycles;
    if (stack > region->stack)
        region->stack = stack;
    region->total += cycles;
    region->count++;
}

static void on_mark(avr_t *avr, avr_io_addr_t address, uint8_t value, void *context)
{
    counter_t *counter = context;

    avr->data[address] = value;
    if (counter->open)
        close_region(counter, avr->cycle);
    counter->open = value;
    counter->opened_at = avr->cycle;
    counter->opened_sp = counter->region_sp = mcu_stack_pointer(&counter->mcu);
}

static void on_output(avr_t *avr, avr_io_addr_t address, uint8_t value, void *context)
{
    counter_t *counter = context;

    avr->data[address] = value;
    counter->bytes_out++;
    if (counter->out)
        fputc(value, counter->out);
}

static uint8_t on_input(avr_t *avr, avr_io_addr_t address, void *context)
{
    const counter_t *counter = context;
    const int byte = counter->in ? fgetc(counter->in) : EOF;

    (void)avr;
    if (byte == EOF)
        return 0;
    if (address == GPIOR2) {
        ungetc(byte, counter->in);
        return 1;
    }
    return (uint8_t)byte;
}

static bool ended(const mcu_t *mcu)
{
    const uint8_t *at = mcu->avr->flash + mcu->avr->pc;

    return !mcu->avr->sreg[S_I] && (at[0] | at[1] << 8) == RJMP_SELF; /* where avr-libc's exit() stays */
}

static int run(counter_t *counter, uint64_t max_cycles)
{
    mcu_t *mcu = &counter->mcu;
    mcu_state state;

    do {
        state = mcu_step(mcu);
        const uint16_t sp = mcu_stack_pointer(mcu);
        counter->lowest_sp = sp < counter->lowest_sp ? sp : counter->lowest_sp;
        counter->region_sp = sp < counter->region_sp ? sp : counter->region_sp;
        if (state == MCU_ASLEEP)
            mcu_pass(mcu, mcu->idle);
    } while (state != MCU_HALTED && state != MCU_CRASHED && !ended(mcu) && mcu->avr->cycle < max_cycles);
    if (state == MCU_CRASHED)
        fprintf(stderr, "cyclecount: the program crashed at pc 0x%05" PRIx32 ": %s\n", mcu->avr->pc, mcu->reason);
    else if (state != MCU_HALTED && !ended(mcu))
        fprintf(stderr,
                "cyclecount: cycles: found %" PRIu64 " without an end, need at most %" PRIu64
                "; end with cli and sleep, or raise --max-cycles\n",
                mcu->avr->cycle, max_cycles);
    else if (counter->open)
        fprintf(stderr, "cyclecount: region %u: found no end, need GPIOR0 = 0; close it before the program ends\n",
                counter->open);
    else
        return 0;
    return 3;
}

static void print_result(const counter_t *counter, const char *name)
{
    const avr_t *avr = counter->mcu.avr;
    const char *comma = "";

    printf("{\"schema\": 1, \"mcu\": \"%s\", \"cycles\": %" PRIu64
           ", \"stack_max\": %d, \"sp_min\": %u, \"bytes_out\": %" PRIu64 ",\n \"regions\": {",
           name, avr->cycle, avr->ramend - counter->lowest_sp, counter->lowest_sp, counter->bytes_out);
    for (int k = 1; k < 256; k++) {
        const region_t *region = &counter->regions[k];
        if (!region->count)
            continue;
        printf("%s\n  \"%d\": {\"count\": %" PRIu64 ", \"min\": %" PRIu64 ", \"max\": %" PRIu64
               ", \"mean\": %.3f, \"stack\": %" PRIu32 "}",
               comma, k, region->count, region->min, region->max, (double)region->total / (double)region->count,
               region->stack);
        comma = ",";
    }
    printf("}}\n");
}

typedef struct {
    const char *mcu, *image, *in, *out;
    uint64_t max_cycles;
} options;

static bool parse(int argc, char **argv, options *chosen)
{
    static const struct option long_options[] = {{"mcu", required_argument, NULL, 'm'},
                                                 {"elf", required_argument, NULL, 'e'},
                                                 {"hex", required_argument, NULL, 'e'},
                                                 {"in", required_argument, NULL, 'i'},
                                                 {"out", required_argument, NULL, 'o'},
                                                 {"max-cycles", required_argument, NULL, 'c'},
                                                 {NULL, 0, NULL, 0}};
    int option;

    *chosen = (options){.max_cycles = 2000000000u};
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        switch (option) {
        case 'm':
            chosen->mcu = optarg;
            break;
        case 'e':
            chosen->image = optarg;
            break;
        case 'i':
            chosen->in = optarg;
            break;
        case 'o':
            chosen->out = optarg;
            break;
        case 'c':
            chosen->max_cycles = strtoull(optarg, NULL, 10);
            break;
        default:
            return false;
        }
    return chosen->mcu && chosen->image && chosen->max_cycles && optind == argc;
}

static bool open_file(const char *path, const char *mode, FILE **file)
{
    *file = path ? fopen(path, mode) : NULL;
    if (path && !*file)
        fprintf(stderr, "cyclecount: %s: found no file to open for %s, need one; check the path\n", path,
                mode[0] == 'r' ? "reading" : "writing");
    return !path || *file;
}

int main(int argc, char **argv)
{
    static counter_t counter;
    options chosen;
    image_extent extent;
    char error[256];

    if (!parse(argc, argv, &chosen)) {
        fputs("usage: cyclecount --mcu CHIP --elf FILE [--in FILE] [--out FILE] [--max-cycles N]\n", stderr);
        return 2;
    }
    if (!mcu_create(&counter.mcu, chosen.mcu, 16000000)) {
        fprintf(stderr, "cyclecount: --mcu: found %s, need one that libsimavr knows, such as atmega328p\n", chosen.mcu);
        return 2;
    }
    if (!image_load(counter.mcu.avr, chosen.image, &extent, error, sizeof error)) {
        fprintf(stderr, "cyclecount: %s: %s\n", chosen.image, error);
        return 2;
    }
    if (!open_file(chosen.in, "rb", &counter.in) || !open_file(chosen.out, "wb", &counter.out))
        return 2;
    counter.lowest_sp = counter.mcu.avr->ramend;
    mcu_set_batch(&counter.mcu, 1); /* sees the stack pointer after every instruction */
    avr_register_io_write(counter.mcu.avr, GPIOR0, on_mark, &counter);
    avr_register_io_write(counter.mcu.avr, GPIOR1, on_output, &counter);
    avr_register_io_read(counter.mcu.avr, GPIOR1, on_input, &counter);
    avr_register_io_read(counter.mcu.avr, GPIOR2, on_input, &counter);
    int status = run(&counter, chosen.max_cycles);
    print_result(&counter, chosen.mcu);
    if (counter.out && fclose(counter.out) != 0)
        status = 3;
    mcu_destroy(&counter.mcu);
    return status;
}
