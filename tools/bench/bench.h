/* What every contender of the kernel benchmark is: one function that takes a digit and answers its class. main.c feeds
 * it and marks region 1 around the call. A build with BENCH_PARTS counts the front end and the dense part apart, one
 * without counts the whole with no mark inside. */
#ifndef BENCH_H
#define BENCH_H

#include <avr/io.h>
#include <stdint.h>

/* Nothing moves across a mark: without the barrier the compiler may, as GPIOR0 is the only volatile here. */
#define BENCH_MARK(region)                                                                                             \
    do {                                                                                                               \
        __asm__ volatile("" : : : "memory");                                                                           \
        GPIOR0 = (region);                                                                                             \
        __asm__ volatile("" : : : "memory");                                                                           \
    } while (0)

enum {
    BENCH_NO_REGION,
    BENCH_WHOLE, /* with BENCH_PARTS: the front end */
    BENCH_DENSE
};

/* A contender calls this between its front end and its dense part. */
#if defined(BENCH_PARTS)
#define BENCH_DENSE_STARTS() BENCH_MARK(BENCH_DENSE)
#else
#define BENCH_DENSE_STARTS()
#endif

/* input: BENCH_INPUT_BYTES u8, an image row by row or, for a contender without a front end, its features. */
uint8_t bench_classify(const uint8_t *input);

#endif
