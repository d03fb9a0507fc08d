/* void nn_avr_activate16(const int16_t *sums, uint8_t count, nn_far multipliers, nn_avr_how how, uint8_t *out);
 *
 * out[o] = clamp((sums[o] * multipliers[o] + 2^(shift-1)) >> shift, 0, top), count >= 1. multipliers, in flash: uint16.
 * how.flags: NN_AVR_SHIFT16 for shift 16 instead of 24, and no NN_AVR_MAX. `out` may be `sums`.
 *
 * Registers      r24 r25 sum    r22 left    r20 r21 multiplier    r15 r16 r17 product's bytes 1..3    r14 = 0
 *                r18 flags    r19 top    T is shift 16    X sums    Y out    Z multipliers
 * Stack          6 bytes
 * Cycles         49 + per output: sum < 0: 18; else 38, with shift 16: 41, above top: 1 more (call from C included) */
#ifdef __AVR__ /* PlatformIO hands every board all of lib/nn. */
#include "nn_avr_macros.h"

#define ZERO 14
#define PRODUCT1 15
#define PRODUCT2 16
#define PRODUCT3 17
#define FLAGS 18
#define TOP 19
#define MULTIPLIER 20
#define LEFT 22
#define SUM 24
#define IS_SHIFT16 1

FUNCTION nn_avr_activate16
    SAVE_FROM 14
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
1:  ld SUM, X+
    ld SUM + 1, X+
    LOAD_FAR MULTIPLIER, Z+
    LOAD_FAR MULTIPLIER + 1, Z+
    tst SUM + 1
    brmi 3f
    mul SUM, MULTIPLIER
    mov PRODUCT1, r1
    mul SUM + 1, MULTIPLIER + 1
    movw PRODUCT2, r0
    ADD_PRODUCT SUM, MULTIPLIER + 1, PRODUCT1
    adc PRODUCT3, ZERO
    ADD_PRODUCT SUM + 1, MULTIPLIER, PRODUCT1
    adc PRODUCT3, ZERO
    brts 2f
    lsl PRODUCT2
    adc PRODUCT3, ZERO
    cp TOP, PRODUCT3
    brlo 4f
    st Y+, PRODUCT3
    dec LEFT
    brne 1b
    rjmp 5f
2:  lsl PRODUCT1
    adc PRODUCT2, ZERO
    adc PRODUCT3, ZERO
    cp TOP, PRODUCT2
    cpc ZERO, PRODUCT3
    brlo 4f
    st Y+, PRODUCT2
    dec LEFT
    brne 1b
    rjmp 5f
3:  st Y+, ZERO
    dec LEFT
    brne 1b
    rjmp 5f
4:  st Y+, TOP
    dec LEFT
    brne 1b
5:  clr r1
    RETURN_FROM 14
END_FUNCTION nn_avr_activate16

#endif
