/* void nn_avr_dense16_B(const uint8_t *in, uint16_t inputs, const int8_t *block, int16_t *sums);   B = 1..12
 *
 * sums[o] = bias[o] + sum over i of weight[i][o] * in[i], modulo 2^16, for the B outputs of one block. Exact where the
 * final sum fits 16 bits, as the exporter proves; wrapping on the way is harmless. in: 0..255. inputs: 1..1020.
 * block, in flash: int16 bias[B], then int8 weights[inputs][B] (input-major: element o of input i at i*B + o).
 *
 * Input-stationary: the B sums stay in registers, one input is loaded once and met by its B weights, 7 cycles each
 * (LPM 3, MULSU 2, ADD, ADC); an input of zero steps over its weights. Twelve sums leave no register for the turns, so
 * the count lives on the stack and four inputs share one visit to it.
 *
 * Registers      r2..r21, r24, r28 sums (in pairs)    r22 input    r23 weight    r0, r1 product
 *                X inputs    Z block    stack: turns left, 2 bytes above it &sums
 * Stack          21 bytes
 * Cycles         114 + 10 B + 8 ceil(inputs/4), each input > 0: 5 + 7 B, each input = 0: 8 (call from C included) */
#ifdef __AVR__ /* PlatformIO hands every board all of lib/nn. */
#include "nn_avr_macros.h"

#define INPUT 22
#define WEIGHT 23

; The register pair of sum \index: MULSU wants r16..r23 for its operands, so r22 and r23 stay out.
.macro EACH_SUM operation, count
    \operation 2
  .if \count > 1
    \operation 4
  .endif
  .if \count > 2
    \operation 6
  .endif
  .if \count > 3
    \operation 8
  .endif
  .if \count > 4
    \operation 10
  .endif
  .if \count > 5
    \operation 12
  .endif
  .if \count > 6
    \operation 14
  .endif
  .if \count > 7
    \operation 16
  .endif
  .if \count > 8
    \operation 18
  .endif
  .if \count > 9
    \operation 20
  .endif
  .if \count > 10
    \operation 24
  .endif
  .if \count > 11
    \operation 28
  .endif
.endm

.macro LOAD_BIAS sum
    lpm \sum, Z+
    lpm \sum + 1, Z+
.endm

.macro MULTIPLY_ADD sum
    lpm WEIGHT, Z+
    mulsu WEIGHT, INPUT
    add \sum, r0
    adc \sum + 1, r1
.endm

.macro STORE sum
    st X+, \sum
    st X+, \sum + 1
.endm

.macro INPUT_ROW outputs
    ld INPUT, X+
    tst INPUT
    brne 1f
    adiw r30, \outputs
    rjmp 2f
1:  EACH_SUM MULTIPLY_ADD, \outputs
2:
.endm

.macro DENSE16 outputs
FUNCTION nn_avr_dense16_\outputs
    SAVE_FROM 2
    push r18
    push r19
    movw r26, r24
    movw r30, r20
    ; turns = ceil(inputs / 4); the first turn starts late where inputs is no multiple of 4
    movw r24, r22
    adiw r24, 3
    lsr r25
    ror r24
    lsr r25
    ror r24
    push r24
    andi r22, 3
    mov r0, r22
    EACH_SUM LOAD_BIAS, \outputs
    sbrc r0, 0
    rjmp 7f
    sbrs r0, 1
    rjmp 3f
    rjmp 5f
7:  sbrc r0, 1
    rjmp 4f
    rjmp 6f
3:  INPUT_ROW \outputs
4:  INPUT_ROW \outputs
5:  INPUT_ROW \outputs
6:  INPUT_ROW \outputs
    pop INPUT
    dec INPUT
    breq 8f
    push INPUT
    rjmp 3b
8:  pop r27
    pop r26
    EACH_SUM STORE, \outputs
    clr r1
    RETURN_FROM 2
END_FUNCTION nn_avr_dense16_\outputs
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
