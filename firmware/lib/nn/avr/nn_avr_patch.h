/* The body of the patch kernels, for weights of PATCH_BITS (8, 4 or 2), which a file defines before it includes this.
 *
 * A byte of packed weights holds the fields f0 (lowest), f1, … of as many outputs, each the weight + 2^(PATCH_BITS-1).
 * None is ever shifted out: the byte times x goes into f0's sum, the byte without f0 times x into f1's, and so on, each
 * for one MUL, one ANDI and the addition. At the end a sum less the next one is its own field's, 2^(PATCH_BITS * j) times
 * too large, so it must fit that many bits less than 24. The biases in flash are laid out for that.
 *
 * Registers      r2..r19 sums (in threes)    r20 rows left    r21 weights    r22 r29 r28 sum of the inputs, high to low
 *                r23 input    r24 left of the run    r25 = 0    r0, r1 product    X inputs    Z block
 * Stack          18 bytes saved, &sums, run, the gaps; 27 at most */
#ifndef NN_AVR_PATCH_H
#define NN_AVR_PATCH_H

#include "nn_avr_patch_call.h"

#define IN_A_BYTE (8 / PATCH_BITS)

#define ROWS 20
#define WEIGHTS 21
#define INPUT_SUM 28
#define INPUT_SUM_TOP 22
#define INPUT 23
#define LEFT 24

; The products of one byte of weights: 5 cycles each, and 1 between two
.macro MULTIPLY_ADD fields, sum, mask
    mul WEIGHTS, INPUT
    add \sum, r0
    adc \sum + 1, r1
    adc \sum + 2, ZERO
  .if \fields > 1
    andi WEIGHTS, \mask
    MULTIPLY_ADD (\fields-1), (\sum+3), ((\mask << PATCH_BITS) & 0xFF)
  .endif
.endm

.macro EACH_BYTE outputs, sum=2
    LOAD WEIGHTS, Z+
  .if \outputs > IN_A_BYTE
    MULTIPLY_ADD IN_A_BYTE, \sum, ((0xFF << PATCH_BITS) & 0xFF)
    EACH_BYTE (\outputs-IN_A_BYTE), (\sum+3*IN_A_BYTE)
  .else
    MULTIPLY_ADD \outputs, \sum, ((0xFF << PATCH_BITS) & 0xFF)
  .endif
.endm

.macro PUSH_FIELD at
    ldd r0, Y + \at
    push r0
.endm

#if PATCH_BITS == 8
.macro TAKE_OFF sum
    sub \sum, INPUT
    sbc \sum + 1, INPUT_SUM
    sbc \sum + 2, INPUT_SUM + 1
.endm

; 128 * (sum of inputs), made as (sum << 8) >> 1, less in every sum
.macro FINISH outputs
    clr INPUT
    lsr INPUT_SUM_TOP
    ror INPUT_SUM + 1
    ror INPUT_SUM
    ror INPUT
    EACH_SUM TAKE_OFF, \outputs
.endm
#else
.macro LESS_NEXT fields, sum
  .if \fields > 1
    sub \sum, \sum + 3
    sbc \sum + 1, \sum + 4
    sbc \sum + 2, \sum + 5
    LESS_NEXT (\fields-1), (\sum+3)
  .endif
.endm

.macro SHIFT_RIGHT sum, count
  .if \count > 0
    asr \sum + 2
    ror \sum + 1
    ror \sum
    SHIFT_RIGHT \sum, (\count-1)
  .endif
.endm

.macro SHIFT_INPUT_SUM count
  .if \count > 0
    lsl INPUT_SUM
    rol INPUT_SUM + 1
    rol INPUT_SUM_TOP
    SHIFT_INPUT_SUM (\count-1)
  .endif
.endm

; The sums of field `place`, every so many of them
.macro SETTLE place, outputs, sum
  .if \outputs > 0
    sub \sum, INPUT_SUM
    sbc \sum + 1, INPUT_SUM + 1
    sbc \sum + 2, INPUT_SUM_TOP
    SHIFT_RIGHT \sum, (\place*PATCH_BITS)
    SETTLE \place, (\outputs-IN_A_BYTE), (\sum+3*IN_A_BYTE)
  .endif
.endm

.macro EACH_DIFFERENCE outputs, sum=2
  .if \outputs > IN_A_BYTE
    LESS_NEXT IN_A_BYTE, \sum
    EACH_DIFFERENCE (\outputs-IN_A_BYTE), (\sum+3*IN_A_BYTE)
  .else
    LESS_NEXT \outputs, \sum
  .endif
.endm

.macro EACH_PLACE outputs, place=0
  .if \place < IN_A_BYTE
    .if \outputs > \place
      .if \place > 0
        SHIFT_INPUT_SUM PATCH_BITS
      .endif
      SETTLE \place, (\outputs-\place), (2+3*\place)
      EACH_PLACE \outputs, (\place+1)
    .endif
  .endif
.endm

.macro FINISH outputs
    EACH_DIFFERENCE \outputs
    SHIFT_INPUT_SUM (PATCH_BITS-1)
    EACH_PLACE \outputs
.endm
#endif

.macro PATCH name, outputs
FUNCTION \name
    ENTER_PATCH
    PUSH_FIELD 3
    PUSH_FIELD 7
    PUSH_FIELD 6
    PUSH_FIELD 5
    PUSH_FIELD 4
    ldd ROWS, Y + 2
    ldd LEFT, Y + 3
    ldd r22, Y + 0
    ldd r23, Y + 1
    clr ZERO
    EACH_SUM LOAD_BIAS, \outputs
    SKIP r22, r23
    clr INPUT_SUM
    clr INPUT_SUM + 1
    clr INPUT_SUM_TOP
1:  ld INPUT, X+
    tst INPUT
    brne 2f
    adiw r30, (\outputs + IN_A_BYTE - 1) / IN_A_BYTE
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
    adc INPUT_SUM_TOP, ZERO
    EACH_BYTE \outputs
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
    ldd LEFT, Y + 7
    ldd INPUT, Y + 3
    ldd r1, Y + 4
    SKIP INPUT, r1
    pop r29
    pop r28
    rjmp 1b
6:  pop r0
    pop r0
    pop r0
    pop r0
    pop r0
    pop r27
    pop r26
    FINISH \outputs
    LEAVE_PATCH \outputs
END_FUNCTION \name
.endm

#endif
