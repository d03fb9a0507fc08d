/* void nn_avr_requantize24(const int32_t *sums, uint8_t outputs, uint16_t multiplier, uint8_t levels, uint8_t *out);
 *
 * out[o] = clamp((sums[o] * multiplier + 2^23) >> 24, 0, levels), |sums[o]| < 2^23, outputs >= 1. A shift below 24 is
 * this with a larger multiplier: (m, s) and (m << k, s + k) give the same bits.
 *
 * Registers      r23 r24 r25 sum    r22 left    r20 multiplier    r18 levels    r19 = 0
 *                r14 r15 r16 r17 product's bytes 1..4    Y sums    Z out
 * Stack          6 bytes
 * Cycles         46 + per output: sum < 0: 16; else 51; saturated: 1 more */
#ifdef __AVR__ /* PlatformIO hands every board all of lib/nn. */
#include "nn_avr_macros.h"

#define PRODUCT1 14
#define PRODUCT2 15
#define PRODUCT3 16
#define LEVELS 18
#define ZERO 19
#define MULTIPLIER 20
#define LEFT 22
#define SUM0 23
#define SUM1 24
#define SUM2 25

FUNCTION nn_avr_requantize24
    SAVE_FROM 14
    movw r28, r24
    movw r30, r16
    clr ZERO
1:  ld SUM0, Y+
    ld SUM1, Y+
    ld SUM2, Y+
    ld r0, Y+
    sbrc SUM2, 7
    rjmp 2f
    mul SUM0, MULTIPLIER
    mov PRODUCT1, r1
    mul SUM1, MULTIPLIER + 1
    movw r26, r0
    mov PRODUCT2, r26
    mov PRODUCT3, r27
    clr PRODUCT3 + 1
    ADD_PRODUCT SUM0, MULTIPLIER + 1, PRODUCT1
    adc PRODUCT3, ZERO
    adc PRODUCT3 + 1, ZERO
    ADD_PRODUCT SUM1, MULTIPLIER, PRODUCT1
    adc PRODUCT3, ZERO
    adc PRODUCT3 + 1, ZERO
    ADD_PRODUCT SUM2, MULTIPLIER, PRODUCT2
    adc PRODUCT3 + 1, ZERO
    ADD_PRODUCT SUM2, MULTIPLIER + 1, PRODUCT3
    lsl PRODUCT2
    adc PRODUCT3, ZERO
    adc PRODUCT3 + 1, ZERO
    cp LEVELS, PRODUCT3
    cpc ZERO, PRODUCT3 + 1
    brlo 3f
    st Z+, PRODUCT3
    dec LEFT
    brne 1b
    rjmp 4f
2:  st Z+, ZERO
    dec LEFT
    brne 1b
    rjmp 4f
3:  st Z+, LEVELS
    dec LEFT
    brne 1b
4:  clr r1
    RETURN_FROM 14
END_FUNCTION nn_avr_requantize24

#endif
