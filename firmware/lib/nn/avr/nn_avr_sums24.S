/* void nn_avr_sums24_B(const uint8_t *in, uint16_t inputs, nn_far block, uint8_t *sums);   B = 1..7
 *
 * sums[o], three bytes each = bias[o] + sum over i of weight[i][o] * in[i], modulo 2^24; exact where the final sum fits 24
 * bits. in: 0..255. inputs: 1..65535. block, in flash: int24 bias[B], then uint8 weights[inputs][B], each weight + 128.
 *
 * Products as in nn_avr_dense24: unsigned, and 128 * (sum of inputs) is taken off behind each 256 inputs, whose sum fits
 * 16 bits.
 *
 * Registers      r2..r22 sums (in threes)    r23 input    r24 inputs left of the 256    r25 = 0    r0, r1 weight, product
 *                r28 sum of the inputs       X inputs     Z block            stack: 256s left, and above it &sums
 * Stack          5 bytes, 3 B for up to 5 outputs, 16 from then on
 * Cycles         53 + 30 B, but 117 + 18 B from 6 outputs on; each input > 0: 10 + 8 B, each input = 0: 9; each 256 inputs
 *                but the last ones 13 + 3 B, and 2 for any that end in 0 (call from C included); where flash is far 2 more
 *                and each input = 0 costs 10 */
#ifdef __AVR__ /* PlatformIO hands every board all of lib/nn. */
#define LOAD LOAD_FAR
#include "nn_avr_sums24.h"

#define INPUT 23
#define LEFT 24
#define ZERO 25
#define INPUT_SUM 28

.macro MULTIPLY_ADD sum
    LOAD r0, Z+
    mul r0, INPUT
    add \sum, r0
    adc \sum + 1, r1
    adc \sum + 2, ZERO
.endm

.macro TAKE_OFF sum
    sub \sum, INPUT
    sbc \sum + 1, INPUT_SUM
    sbc \sum + 2, INPUT_SUM + 1
.endm

.macro EACH_SAVED operation, outputs
  .if \outputs < 6
    \operation 2, (3*\outputs+1)
  .else
    \operation 2, 17
  .endif
.endm

.macro SUMS24 outputs
FUNCTION nn_avr_sums24_\outputs
    EACH_SAVED PUSH_RANGE, \outputs
    PUSH_RANGE 28, 29
    push FAR_FOURTH
    push FAR_FOURTH + 1
    TAKE_FAR
    movw r26, r24
    mov LEFT, r22
    subi r22, 1
    sbci r23, 0
    push r23
    clr ZERO
    clr INPUT_SUM
    clr INPUT_SUM + 1
    EACH_SUM LOAD_BIAS, \outputs
1:  ld INPUT, X+
    tst INPUT
    brne 2f
    adiw r30, \outputs
#if defined(__AVR_HAVE_ELPM__)
    brcs 5f
#endif
4:  dec LEFT
    brne 1b
    rjmp 3f
#if defined(__AVR_HAVE_ELPM__)
5:  NEXT_BANK
    rjmp 4b
#endif
2:  add INPUT_SUM, INPUT
    adc INPUT_SUM + 1, ZERO
    EACH_SUM MULTIPLY_ADD, \outputs
    dec LEFT
    brne 1b
3:  ; sum of inputs * 128 = (sum << 8) >> 1
    clr INPUT
    lsr INPUT_SUM + 1
    ror INPUT_SUM
    ror INPUT
    EACH_SUM TAKE_OFF, \outputs
    clr INPUT_SUM
    clr INPUT_SUM + 1
    pop INPUT
    subi INPUT, 1
    brcs 6f
    push INPUT
    rjmp 1b
6:  pop r27
    pop r26
    EACH_SUM STORE_SUM, \outputs
    clr r1
    POP_RANGE 28, 29
    EACH_SAVED POP_RANGE, \outputs
    ret
END_FUNCTION nn_avr_sums24_\outputs
.endm

SUMS24 1
SUMS24 2
SUMS24 3
SUMS24 4
SUMS24 5
SUMS24 6
SUMS24 7

#endif
