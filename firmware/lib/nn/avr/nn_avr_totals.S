/* What becomes of sums of three bytes that are only a part of a longer one, or the scores.
 *
 * void nn_avr_add24(const uint8_t *sums, uint8_t count, int32_t *totals);     totals[i] += sums[i]
 * void nn_avr_widen24(const uint8_t *sums, uint8_t count, int32_t *scores);   scores[i] = sums[i]
 *
 * sums: int24, low byte first. count >= 1. scores may be sums only where nothing is read behind what is written, at the
 * end of a buffer of 4 * count bytes.
 *
 * Registers      X sums    Z totals or scores    r22 left    r23 r24 r25 sum    r18 its sign    r0 a byte of the total
 * Cycles         add24 16 + 32 count; widen24 16 + 20 count (call from C included) */
#ifdef __AVR__ /* PlatformIO hands every board all of lib/nn. */
#include "nn_avr_macros.h"

#define SIGN 18
#define LEFT 22
#define SUM 23

.macro LOAD_SUM
    ld SUM, X+
    ld SUM + 1, X+
    ld SUM + 2, X+
    mov SIGN, SUM + 2
    lsl SIGN
    sbc SIGN, SIGN
.endm

FUNCTION nn_avr_add24
    movw r26, r24
    movw r30, r20
1:  LOAD_SUM
    ld r0, Z
    add r0, SUM
    st Z+, r0
    ld r0, Z
    adc r0, SUM + 1
    st Z+, r0
    ld r0, Z
    adc r0, SUM + 2
    st Z+, r0
    ld r0, Z
    adc r0, SIGN
    st Z+, r0
    dec LEFT
    brne 1b
    ret
END_FUNCTION nn_avr_add24

FUNCTION nn_avr_widen24
    movw r26, r24
    movw r30, r20
1:  LOAD_SUM
    st Z+, SUM
    st Z+, SUM + 1
    st Z+, SUM + 2
    st Z+, SIGN
    dec LEFT
    brne 1b
    ret
END_FUNCTION nn_avr_widen24

#endif
