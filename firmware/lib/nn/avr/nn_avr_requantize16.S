/* void nn_avr_requantize16(const int16_t *sums, uint8_t outputs, uint16_t multiplier, uint8_t levels, uint8_t *out);
 *
 * out[o] = clamp((sums[o] * multiplier + 2^15) >> 16, 0, levels), outputs >= 1. A shift below 16 is this with a larger
 * multiplier: (m, s) and (m << k, s + k) give the same bits. A multiplier below 256 takes two products, else four.
 *
 * Registers      r24 sum    r22 left    r20 multiplier    r18 levels    r19 = 0    r16 product's byte 1
 *                r26 product's bytes 2, 3    Y sums    Z out
 * Stack          3 bytes
 * Cycles         37 + per output: sum < 0: 12; else 27, with a multiplier above 255: 33; saturated: 1 more */
#ifdef __AVR__ /* PlatformIO hands every board all of lib/nn. */
#include "nn_avr_macros.h"

#define PRODUCT1 16
#define LEVELS 18
#define ZERO 19
#define MULTIPLIER 20
#define LEFT 22
#define SUM 24
#define PRODUCT2 26

.macro REQUANTIZE wide
1:  ld SUM, Y+
    ld SUM + 1, Y+
    sbrc SUM + 1, 7
    rjmp 2f
    mul SUM, MULTIPLIER
    mov PRODUCT1, r1
  .if \wide
    mul SUM + 1, MULTIPLIER + 1
    movw PRODUCT2, r0
    mul SUM, MULTIPLIER + 1
    add PRODUCT1, r0
    adc PRODUCT2, r1
    adc PRODUCT2 + 1, ZERO
  .else
    clr PRODUCT2
    clr PRODUCT2 + 1
  .endif
    mul SUM + 1, MULTIPLIER
    add PRODUCT1, r0
    adc PRODUCT2, r1
    adc PRODUCT2 + 1, ZERO
    lsl PRODUCT1
    adc PRODUCT2, ZERO
    adc PRODUCT2 + 1, ZERO
    cp LEVELS, PRODUCT2
    cpc ZERO, PRODUCT2 + 1
    brlo 3f
    st Z+, PRODUCT2
    dec LEFT
    brne 1b
    rjmp .Lreturn
2:  st Z+, ZERO
    dec LEFT
    brne 1b
    rjmp .Lreturn
3:  st Z+, LEVELS
    dec LEFT
    brne 1b
    rjmp .Lreturn
.endm

FUNCTION nn_avr_requantize16
    push r16
    push r28
    push r29
    movw r28, r24
    movw r30, r16
    clr ZERO
    tst MULTIPLIER + 1
    brne .Lwide
    REQUANTIZE 0
.Lwide:
    REQUANTIZE 1
.Lreturn:
    clr r1
    pop r29
    pop r28
    pop r16
    ret
END_FUNCTION nn_avr_requantize16

#endif
