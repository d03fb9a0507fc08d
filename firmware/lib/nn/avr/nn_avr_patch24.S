/* void nn_avr_patch24_B(const uint8_t *in, const nn_avr_patch *patch, nn_far block, uint8_t *sums);   B = 1..6
 *
 * sums[o], three bytes each = bias[o] + sum over the patch's inputs of weight[i][o] * in[i], exact where the final sum
 * fits 24 bits. block, in flash: int24 bias[B], `skip` bytes of no interest, then uint8 weights[i][B], each weight + 128,
 * with `weights_gap` bytes between the rows of the patch.
 *
 * Products as in nn_avr_dense24: unsigned, and 128 * (sum of inputs) is taken off at the end.
 *
 * Registers      r2..r19 sums (in threes)    r20 rows left    r21 run    r22 r29 r28 sum of the inputs, high to low
 *                r23 input    r24 left of the run    r25 = 0    r0, r1 weight, product    X inputs    Z block
 * Stack          18 bytes saved, &sums, the gaps; 26 at most
 * Cycles         120 + 18 B, each row 26, and 2 if it ends in 0; each input > 0: 11 + 8 B, each input = 0: 9 (call from
 *                C included); where flash is far 1 more for each input = 0 and 3 for each row */
#ifdef __AVR__ /* PlatformIO hands every board all of lib/nn. */
#include "nn_avr_macros.h"

#define ROWS 20
#define RUN 21
#define INPUT_SUM 28
#define INPUT_SUM_TOP 22
#define INPUT 23
#define LEFT 24
#define ZERO 25

#if defined(__AVR_HAVE_ELPM__)
#define BLOCK 18
#define SUMS 16
#define LOAD elpm
#else
#define BLOCK 20
#define SUMS 18
#define LOAD lpm
#endif

.macro EACH_SUM operation, count, sum=2
    \operation \sum
  .if \count > 1
    EACH_SUM \operation, (\count-1), (\sum+3)
  .endif
.endm

.macro LOAD_BIAS sum
    LOAD \sum, Z+
    LOAD \sum + 1, Z+
    LOAD \sum + 2, Z+
.endm

.macro MULTIPLY_ADD sum
    LOAD r0, Z+
    mul r0, INPUT
    add \sum, r0
    adc \sum + 1, r1
    adc \sum + 2, ZERO
.endm

; Z += a:b; r0 is lost where flash is far
.macro SKIP low, high
    add r30, \low
    adc r31, \high
#if defined(__AVR_HAVE_ELPM__)
    in r0, RAMPZ
    adc r0, ZERO
    out RAMPZ, r0
#endif
.endm

.macro PUSH_FIELD at
    ldd r0, Y + \at
    push r0
.endm

.macro STORE sum
    sub \sum, INPUT
    sbc \sum + 1, INPUT_SUM
    sbc \sum + 2, INPUT_SUM + 1
    st X+, \sum
    st X+, \sum + 1
    st X+, \sum + 2
.endm

.macro PATCH24 outputs
FUNCTION nn_avr_patch24_\outputs
    PUSH_RANGE 2, 17
    push r28
    push r29
    push SUMS
    push SUMS + 1
    movw r26, r24
    movw r28, r22
    movw r30, BLOCK
#if defined(__AVR_HAVE_ELPM__)
    out RAMPZ, BLOCK + 2
#endif
    PUSH_FIELD 7
    PUSH_FIELD 6
    PUSH_FIELD 5
    PUSH_FIELD 4
    ldd ROWS, Y + 2
    ldd RUN, Y + 3
    ldd r22, Y + 0
    ldd r23, Y + 1
    clr ZERO
    EACH_SUM LOAD_BIAS, \outputs
    SKIP r22, r23
    clr INPUT_SUM
    clr INPUT_SUM + 1
    clr INPUT_SUM_TOP
0:  mov LEFT, RUN
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
5:  in r0, RAMPZ
    inc r0
    out RAMPZ, r0
    rjmp 4b
#endif
2:  add INPUT_SUM, INPUT
    adc INPUT_SUM + 1, ZERO
    adc INPUT_SUM_TOP, ZERO
    EACH_SUM MULTIPLY_ADD, \outputs
    dec LEFT
    brne 1b
3:  dec ROWS
    breq 6f
    push r28
    push r29
    in r28, SPL
    in r29, SPH
    ldd r0, Y + 5
    ldd r1, Y + 6
    add r26, r0
    adc r27, r1
    ldd INPUT, Y + 3
    ldd r1, Y + 4
    SKIP INPUT, r1
    pop r29
    pop r28
    rjmp 0b
6:  ; sum of inputs * 128 = (sum << 8) >> 1
    clr INPUT
    lsr INPUT_SUM_TOP
    ror INPUT_SUM + 1
    ror INPUT_SUM
    ror INPUT
    pop r0
    pop r0
    pop r0
    pop r0
    pop r27
    pop r26
    EACH_SUM STORE, \outputs
    clr r1
    pop r29
    pop r28
    POP_RANGE 2, 17
    ret
END_FUNCTION nn_avr_patch24_\outputs
.endm

PATCH24 1
PATCH24 2
PATCH24 3
PATCH24 4
PATCH24 5
PATCH24 6

#endif
