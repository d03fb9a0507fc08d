/* The frame around each contender: digits come in through GPIOR1, classes go out there, cyclecount does the rest. */
#include <avr/interrupt.h>
#include <avr/sleep.h>

#include "bench.h"

static uint8_t input[BENCH_INPUT_BYTES];

int main(void)
{
    while (GPIOR2 & 1) {
        for (uint16_t i = 0; i < sizeof input; i++)
            input[i] = GPIOR1;
        BENCH_MARK(BENCH_WHOLE);
        const uint8_t predicted = bench_classify(input);
        BENCH_MARK(BENCH_NO_REGION);
        GPIOR1 = predicted;
    }
    cli();
    sleep_mode();
    return 0;
}
