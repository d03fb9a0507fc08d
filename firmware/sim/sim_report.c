#include "sim_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_report(FILE *file, const char *mcu_name, const mcu_t *mcu, const line_t *line,
                         const board_clock *clock)
{
    const double wall = clock_wall_s(clock);
    const double busy = wall - (double)line->pty->waited_ns / 1e9;
    const uint64_t cycles = mcu->avr->cycle;
    const uint64_t executed = cycles - mcu->slept;

    fprintf(file, "{\"schema\": 1, \"mcu\": \"%s\", \"f_cpu\": %" PRIu32 ", \"port\": \"%s\",\n", mcu_name,
            mcu->avr->frequency, line->pty->path);
    fprintf(file, " \"cycles\": %" PRIu64 ", \"cycles_asleep\": %" PRIu64 ", \"simulated_s\": %.6f,\n", cycles,
            mcu->slept, (double)cycles / mcu->avr->frequency);
    fprintf(file, " \"wall_s\": %.6f, \"busy_s\": %.6f, \"mhz\": %.2f,\n", wall, busy,
            busy > 0 ? (double)executed / busy / 1e6 : 0.0);
    fprintf(file,
            " \"bytes_in\": %" PRIu64 ", \"bytes_out\": %" PRIu64 ", \"bytes_unheard\": %" PRIu64
            ", \"bytes_in_reset\": %" PRIu64 ",\n",
            line->bytes_in, line->bytes_out, line->bytes_unheard, line->bytes_in_reset);
    fprintf(file, " \"overruns\": %" PRIu64 ", \"framing_errors\": %" PRIu64 ", \"garbled\": %" PRIu64 ",\n",
            line->usart.overruns, line->usart.framing_errors, line->garbled);
    fprintf(file, " \"misconfigured\": %" PRIu64 ", \"resets\": %" PRIu32 "}\n", line->usart.misconfigured,
            mcu->resets);
}

bool report_write(const char *path, const char *mcu_name, const mcu_t *mcu, const line_t *line,
                  const board_clock *clock)
{
    const size_t length = strlen(path) + sizeof ".part";
    char *part = malloc(length);
    bool written = false;

    if (!part)
        return false;
    snprintf(part, length, "%s.part", path);
    FILE *file = fopen(part, "w");
    if (file) {
        print_report(file, mcu_name, mcu, line, clock);
        written = !ferror(file);
        written = fclose(file) == 0 && written && rename(part, path) == 0;
        if (!written)
            remove(part);
    }
    free(part);
    return written;
}
