/* void nn_avr_activate24(const uint8_t *sums, uint8_t count, nn_far multipliers, nn_avr_how how, uint8_t *out);
 *
 * out[o] = clamp((sums[o] * multipliers[o] + 2^(shift-1)) >> shift, 0, top), or the larger of that and out[o]. sums: int24,
 * three bytes each. multipliers, in flash: uint16. how.flags: NN_AVR_SHIFT16 for shift 16 instead of 24, NN_AVR_MAX
 * (what is there is at most `top` then).
 *
 * The products of the sum's lower two bytes alone fit 32 bits, so that none of their carries reaches byte 4.
 *
 * Registers      r23 r24 r25 sum    r22 left    r20 r21 multiplier    r15 r16 r17 r23 product's bytes 1..4    r14 = 0
 *                r18 flags    r19 top    T is shift 16    X sums    Y out    Z multipliers
 * Stack          6 bytes
 * Cycles         47 + per output: sum < 0: 23; else 55, with shift 16: 6 more, above top: 1 more. With NN_AVR_MAX: sum < 0: 1
 *                less, above top: as without, else: 4 more (call from C included) */
#ifdef __AVR__ /* PlatformIO hands every board all of lib/nn. */
#include "nn_avr_macros.h"

#define ZERO 14
#define PRODUCT1 15
#define PRODUCT2 16
#define PRODUCT3 17
#define HOW 18
#define TOP 19
#define MULTIPLIER 20
#define LEFT 22
#define SUM0 23
#define SUM1 24
#define SUM2 25
#define PRODUCT4 SUM0
#define IS_MAX 0
#define IS_SHIFT16 1

FUNCTION nn_avr_activate24
    SAVE_FROM 14
    movw r26, r24
#if defined(__AVR_HAVE_ELPM__)
    movw r28, r14
    movw r30, r18
    out RAMPZ, r20
    movw HOW, r16
#else
    movw r28, r16
    movw r30, r20
#endif
    bst HOW, IS_SHIFT16
    clr ZERO
1:  ld SUM0, X+
    ld SUM1, X+
    ld SUM2, X+
    LOAD_FAR MULTIPLIER, Z+
    LOAD_FAR MULTIPLIER + 1, Z+
    tst SUM2
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
    brts 5f
    lsl PRODUCT2
    adc PRODUCT3, ZERO
    adc PRODUCT4, ZERO
2:  cp TOP, PRODUCT3
    cpc ZERO, PRODUCT4
    brlo 7f
    sbrs HOW, IS_MAX
    rjmp 3f
    ld r0, Y
    cp r0, PRODUCT3
    brlo 3f
    mov PRODUCT3, r0
3:  st Y+, PRODUCT3
    dec LEFT
    brne 1b
4:  clr r1
    RETURN_FROM 14
5:  lsl PRODUCT1
    adc PRODUCT2, ZERO
    adc PRODUCT3, ZERO
    adc PRODUCT4, ZERO
    or PRODUCT4, PRODUCT3
    mov PRODUCT3, PRODUCT2
    rjmp 2b
6:  sbrs HOW, IS_MAX
    st Y, ZERO
    adiw r28, 1
    dec LEFT
    brne 1b
    rjmp 4b
7:  mov PRODUCT3, TOP
    rjmp 3b ; nothing is larger
END_FUNCTION nn_avr_activate24

#endif
