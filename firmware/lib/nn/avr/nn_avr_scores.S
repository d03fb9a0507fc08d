/* What follows the last layer.
 *
 * void nn_avr_widen16(const int16_t *sums, uint8_t outputs, int32_t *scores);   sign extension, 17 cycles each
 * uint8_t nn_avr_argmax32(const int32_t *scores, uint8_t classes);   first maximum, 17 to 23 cycles each
 *
 * Registers      widen16: X sums, Z scores, r22 left
 *                argmax32: X scores, r18..r21 best, r22 classes, r23 index, r24 its class; r25, r30, r31, r0 candidate */
#ifdef __AVR__ /* PlatformIO hands every board all of lib/nn. */
#include "nn_avr_macros.h"

FUNCTION nn_avr_widen16
    movw r26, r24
    movw r30, r20
1:  ld r24, X+
    ld r25, X+
    st Z+, r24
    st Z+, r25
    lsl r25
    sbc r25, r25
    st Z+, r25
    st Z+, r25
    dec r22
    brne 1b
    ret
END_FUNCTION nn_avr_widen16

FUNCTION nn_avr_argmax32
    movw r26, r24
    ld r18, X+
    ld r19, X+
    ld r20, X+
    ld r21, X+
    clr r23
    clr r24
1:  inc r23
    cp r23, r22
    brsh 2f
    ld r25, X+
    ld r30, X+
    ld r31, X+
    ld r0, X+
    cp r18, r25
    cpc r19, r30
    cpc r20, r31
    cpc r21, r0
    brge 1b
    mov r18, r25
    mov r19, r30
    mov r20, r31
    mov r21, r0
    mov r24, r23
    rjmp 1b
2:  ret
END_FUNCTION nn_avr_argmax32

#endif
