/* void nn_avr_sums16_B(const uint8_t *in, uint16_t inputs, nn_far block, int16_t *sums);   B = 1..12
 *
 * sums[o] = bias[o] + sum over i of weight[i][o] * in[i], modulo 2^16, for the B outputs of one block. Exact where the
 * final sum fits 16 bits, as the exporter proves; wrapping on the way is harmless. in: 0..255. inputs: 1..65535.
 * block, in flash: int16 bias[B], then int8 weights[inputs][B] (input-major: element o of input i at i*B + o).
 * nn_avr_dense16_B is the same with a near pointer to the block.
 *
 * Input-stationary: the B sums stay in registers, one input is loaded once and met by its B weights, 7 cycles each
 * (LPM 3, MULSU 2, ADD, ADC); an input of zero steps over its weights. Twelve sums leave no register for the turns, so
 * the count lives on the stack and four inputs share one visit to it.
 *
 * Registers      r2..r21, r24, r28 sums (in pairs)    r22 input    r23 weight    r0, r1 product
 *                X inputs    Z block    stack: turns left, low byte on top, and above them &sums
 * Stack          4 bytes, 2 B for up to 8 outputs, 16 from then on, 18 for 12
 * Cycles         48 + 18 B + 8 ceil(inputs/4), but 112 + 10 B from 8 outputs on and 8 more for 12; each input > 0: 5 + 7 B,
 *                each input = 0: 8; each 1,024 inputs but the last ones 7 (call from C included); where flash is far 2 more */
#ifdef __AVR__ /* PlatformIO hands every board all of lib/nn. */
#include "nn_avr_macros.h"

#define INPUT 22
#define WEIGHT 23

; The register pair of sum \index: MULSU wants r16..r23 for its operands, so r22 and r23 stay out.
.macro EACH_SUM operation, load, count
    \operation \load, 2
  .if \count > 1
    \operation \load, 4
  .endif
  .if \count > 2
    \operation \load, 6
  .endif
  .if \count > 3
    \operation \load, 8
  .endif
  .if \count > 4
    \operation \load, 10
  .endif
  .if \count > 5
    \operation \load, 12
  .endif
  .if \count > 6
    \operation \load, 14
  .endif
  .if \count > 7
    \operation \load, 16
  .endif
  .if \count > 8
    \operation \load, 18
  .endif
  .if \count > 9
    \operation \load, 20
  .endif
  .if \count > 10
    \operation \load, 24
  .endif
  .if \count > 11
    \operation \load, 28
  .endif
.endm

.macro LOAD_BIAS load, sum
    \load \sum, Z+
    \load \sum + 1, Z+
.endm

.macro MULTIPLY_ADD load, sum
    \load WEIGHT, Z+
    mulsu WEIGHT, INPUT
    add \sum, r0
    adc \sum + 1, r1
.endm

.macro STORE load, sum
    st X+, \sum
    st X+, \sum + 1
.endm

.macro INPUT_ROW load, is_far, outputs
    ld INPUT, X+
    tst INPUT
    brne 1f
    adiw r30, \outputs
    brcc 2f
  .if \is_far
    NEXT_BANK
  .endif
    rjmp 2f
1:  EACH_SUM MULTIPLY_ADD, \load, \outputs
2:
.endm

; What a block of so many outputs changes of the registers that C wants kept
.macro EACH_SAVED operation, outputs
  .if \outputs < 8
    \operation 2, (2*\outputs+1)
  .else
    \operation 2, 17
  .endif
.endm

.macro SUMS16 load, is_far, outputs
    EACH_SAVED PUSH_RANGE, \outputs
  .if \outputs == 12
    PUSH_RANGE 28, 29
  .endif
  .if \is_far
    push FAR_FOURTH
    push FAR_FOURTH + 1
    TAKE_FAR
  .else
    push r18
    push r19
    movw r30, r20
  .endif
    movw r26, r24
    ; turns - 1 = (inputs - 1) / 4; the first turn starts late where inputs is no multiple of 4
    movw r24, r22
    sbiw r24, 1
    lsr r25
    ror r24
    lsr r25
    ror r24
    push r25
    push r24
    andi r22, 3
    mov r0, r22
    EACH_SUM LOAD_BIAS, \load, \outputs
    sbrc r0, 0
    rjmp 7f
    sbrs r0, 1
    rjmp 3f
    rjmp 5f
7:  sbrc r0, 1
    rjmp 4f
    rjmp 6f
3:  INPUT_ROW \load, \is_far, \outputs
4:  INPUT_ROW \load, \is_far, \outputs
5:  INPUT_ROW \load, \is_far, \outputs
6:  INPUT_ROW \load, \is_far, \outputs
    pop INPUT
    subi INPUT, 1
    brcs 8f
    push INPUT
    rjmp 3b
8:  pop WEIGHT
    subi WEIGHT, 1
    brcs 9f
    push WEIGHT
    push INPUT
    rjmp 3b
9:  pop r27
    pop r26
    EACH_SUM STORE, \load, \outputs
    clr r1
  .if \outputs == 12
    POP_RANGE 28, 29
  .endif
    EACH_SAVED POP_RANGE, \outputs
    ret
.endm

.macro DENSE16 outputs
FUNCTION nn_avr_dense16_\outputs
#if !defined(__AVR_HAVE_ELPM__)
ALSO nn_avr_sums16_\outputs
#endif
    SUMS16 lpm, 0, \outputs
END_FUNCTION nn_avr_dense16_\outputs
#if defined(__AVR_HAVE_ELPM__)
FUNCTION nn_avr_sums16_\outputs
    SUMS16 elpm, 1, \outputs
END_FUNCTION nn_avr_sums16_\outputs
#endif
.endm

DENSE16 1
DENSE16 2
DENSE16 3
DENSE16 4
DENSE16 5
DENSE16 6
DENSE16 7
DENSE16 8
DENSE16 9
DENSE16 10
DENSE16 11
DENSE16 12

#endif
