/* void nn_avr_activate24(const uint8_t *sums, uint8_t count, nn_far multipliers, uint8_t how, uint8_t *out);
 *
 * out[o] = clamp((sums[o] * multipliers[o] + 2^(shift-1)) >> shift, 0, 255), or the larger of that and out[o]. sums: int24,
 * three bytes each. multipliers, in flash: uint16. how: NN_AVR_SHIFT16 for shift 16 instead of 24, NN_AVR_MAX.
 *
 * Registers      r23 r24 r25 sum    r22 left    r20 r21 multiplier    r15 r16 r17 r18 product's bytes 1..4    r14 how
 *                r19 = 0    X sums    Y out    Z multipliers
 * Stack          6 bytes
 * Cycles         46 + per output: sum < 0: 26; else about 66 */
#ifdef __AVR__ /* PlatformIO hands every board all of lib/nn. */
#include "nn_avr_macros.h"

#define HOW 14
#define PRODUCT1 15
#define PRODUCT2 16
#define PRODUCT3 17
#define PRODUCT4 18
#define ZERO 19
#define MULTIPLIER 20
#define LEFT 22
#define SUM0 23
#define SUM1 24
#define SUM2 25
#define IS_MAX 0
#define IS_SHIFT16 1

FUNCTION nn_avr_activate24
    SAVE_FROM 14
    movw r26, r24
#if defined(__AVR_HAVE_ELPM__)
    movw r28, r14
    movw r30, r18
    out RAMPZ, r20
    mov HOW, r16
#else
    movw r28, r16
    movw r30, r20
    mov HOW, r18
#endif
    clr ZERO
1:  ld SUM0, X+
    ld SUM1, X+
    ld SUM2, X+
    LOAD_FAR MULTIPLIER, Z+
    LOAD_FAR MULTIPLIER + 1, Z+
    sbrc SUM2, 7
    rjmp 7f
    mul SUM0, MULTIPLIER
    mov PRODUCT1, r1
    mul SUM1, MULTIPLIER + 1
    movw PRODUCT2, r0
    clr PRODUCT4
    ADD_PRODUCT SUM0, MULTIPLIER + 1, PRODUCT1
    adc PRODUCT3, ZERO
    adc PRODUCT4, ZERO
    ADD_PRODUCT SUM1, MULTIPLIER, PRODUCT1
    adc PRODUCT3, ZERO
    adc PRODUCT4, ZERO
    ADD_PRODUCT SUM2, MULTIPLIER, PRODUCT2
    adc PRODUCT4, ZERO
    ADD_PRODUCT SUM2, MULTIPLIER + 1, PRODUCT3
    sbrc HOW, IS_SHIFT16
    rjmp 5f
    lsl PRODUCT2
    adc PRODUCT3, ZERO
    adc PRODUCT4, ZERO
    brne 6f
2:  sbrs HOW, IS_MAX
    rjmp 3f
    ld r0, Y
    cp r0, PRODUCT3
    brlo 3f
    mov PRODUCT3, r0
3:  st Y+, PRODUCT3
4:  dec LEFT
    brne 1b
    clr r1
    RETURN_FROM 14
5:  lsl PRODUCT1
    adc PRODUCT2, ZERO
    adc PRODUCT3, ZERO
    adc PRODUCT4, ZERO
    or PRODUCT4, PRODUCT3
    mov PRODUCT3, PRODUCT2
    tst PRODUCT4
    breq 2b
6:  ldi PRODUCT3, 255
    rjmp 3b ; nothing is larger
7:  sbrc HOW, IS_MAX
    rjmp 8f
    st Y+, ZERO
    rjmp 4b
8:  adiw r28, 1
    rjmp 4b
END_FUNCTION nn_avr_activate24

#endif
