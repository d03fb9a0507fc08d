/* void nn_avr_activate32(const int32_t *sums, uint8_t count, nn_far multipliers, nn_avr_how how, uint8_t *out);
 *
 * out[o] = clamp((sums[o] * multipliers[o] + 2^(shift-1)) >> shift, 0, top), count >= 1. multipliers, in flash: uint16.
 * how.flags: NN_AVR_SHIFT16 for shift 16 instead of 24, and no NN_AVR_MAX. `out` may be `sums`.
 *
 * A sum from 2^24 on is above every top at shift 16, and at shift 24 with a multiplier from 256 on; with a smaller one its
 * byte 3 adds to the product's bytes 3 and 4 alone.
 *
 * Registers      r23 r24 r25 r13 sum    r22 left    r20 r21 multiplier    r15 r16 r17 r23 product's bytes 1..4    r14 = 0
 *                r18 flags    r19 top    T is shift 16    X sums    Y out    Z multipliers
 * Stack          7 bytes
 * Cycles         51 + per output: sum < 0: 24; else 58, with shift 16: 64, above top: 1 less; a sum from 2^24 on: with shift 16
 *                11 less, else 3 less, or 10 more with a multiplier below 256 (call from C included) */
#ifdef __AVR__ /* PlatformIO hands every board all of lib/nn. */
#include "nn_avr_macros.h"

#define SUM3 13
#define ZERO 14
#define PRODUCT1 15
#define PRODUCT2 16
#define PRODUCT3 17
#define FLAGS 18
#define TOP 19
#define MULTIPLIER 20
#define LEFT 22
#define SUM0 23
#define SUM1 24
#define SUM2 25
#define PRODUCT4 SUM0
#define IS_SHIFT16 1

FUNCTION nn_avr_activate32
    SAVE_FROM 13
    movw r26, r24
#if defined(__AVR_HAVE_ELPM__)
    movw r28, r14
    movw r30, r18
    out RAMPZ, r20
    movw FLAGS, r16
#else
    movw r28, r16
    movw r30, r20
#endif
    bst FLAGS, IS_SHIFT16
    clr ZERO
1:  ld SUM0, X+
    ld SUM1, X+
    ld SUM2, X+
    ld SUM3, X+
    LOAD_FAR MULTIPLIER, Z+
    LOAD_FAR MULTIPLIER + 1, Z+
    tst SUM3
    brmi 6f
    mul SUM0, MULTIPLIER
    mov PRODUCT1, r1
    mul SUM1, MULTIPLIER + 1
    movw PRODUCT2, r0
    ADD_PRODUCT SUM0, MULTIPLIER + 1, PRODUCT1
    adc PRODUCT3, ZERO
    clr PRODUCT4
    ADD_PRODUCT SUM1, MULTIPLIER, PRODUCT1
    adc PRODUCT3, ZERO
    ADD_PRODUCT SUM2, MULTIPLIER, PRODUCT2
    adc PRODUCT4, ZERO
    mul SUM2, MULTIPLIER + 1
    add PRODUCT3, r0
    adc PRODUCT4, r1
    tst SUM3
    brne 4f
2:  brts 5f
    lsl PRODUCT2
    adc PRODUCT3, ZERO
    adc PRODUCT4, ZERO
3:  cp TOP, PRODUCT3
    cpc ZERO, PRODUCT4
    brlo 7f
    st Y+, PRODUCT3
    rjmp 8f
4:  brts 7f
    cpse MULTIPLIER + 1, ZERO
    rjmp 7f
    mul SUM3, MULTIPLIER
    add PRODUCT3, r0
    adc PRODUCT4, r1
    rjmp 2b
5:  lsl PRODUCT1
    adc PRODUCT2, ZERO
    adc PRODUCT3, ZERO
    adc PRODUCT4, ZERO
    or PRODUCT4, PRODUCT3
    mov PRODUCT3, PRODUCT2
    rjmp 3b
6:  st Y+, ZERO
    rjmp 8f
7:  st Y+, TOP
8:  dec LEFT
    brne 1b
    clr r1
    RETURN_FROM 13
END_FUNCTION nn_avr_activate32

#endif
