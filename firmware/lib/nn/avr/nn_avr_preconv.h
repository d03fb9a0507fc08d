/* The front end `preconv` for one fixed image size, as the macro PRECONV; nn_avr_preconv_*.S instantiate it.
 * Bit-identical to nn_preconv of nn.h. Width and height are constants of the assembly because LDD carries its
 * displacement in the opcode. Normalisation is a routine of its own (nn_avr_normalize.S).
 *
 * The kernel is [1 2 1] down, then [1 2 1] across. For one image column and the four rows a b c d that feed one pooled
 * row, t0 = a+2b+c and t1 = b+2c+d share q = b+c. Across, with s[x] = t[x]+t[x+1], the two convolved neighbours of
 * pooled pixel j are s[2j]+s[2j-1] and s[2j]+s[2j+1]; the larger is s[2j] + max(s[2j-1], s[2j+1]), one sum saved, and
 * s[2j+1] is the next pixel's s[2j-1]. So a row goes left to right and carries t[2j] and s[2j-1] of two convolved rows.
 *
 * Registers      r0 pixels a and d    r1 pixel c     r24 pixel b; r25 = 0, so that movw widens b
 *                r2, r4     t[2j] of the two rows       r6, r8     s[2j-1]
 *                r10, r12   t[2j+1], then s[2j+1]       r14, r16   t[2j+2]; t, s and these swap at each pixel
 *                r20 smallest, r18 largest pooled value so far
 *                r22 pairs of pixels left in the row    r23 pooled rows left
 *                X pooled output    Y row a    Z row c, where three rows are past LDD's reach of 63
 * Stack          18 bytes and the call into nn_avr_normalize
 * Cycles         see docs/avr-kernels.md; 16x16: 4,850 before normalisation */
#ifndef NN_AVR_PRECONV_H
#define NN_AVR_PRECONV_H

#include "nn_avr_macros.h"

#define T0 2
#define T1 4
#define S0 6
#define S1 8
#define U0 10
#define U1 12
#define V0 14
#define V1 16
#define MIN 20
#define MAX 18
#define PAIRS 22
#define ROWS 23
#define B 24
#define ZERO 25

#define EDGE_NONE 0
#define EDGE_TOP 1
#define EDGE_BOTTOM 2

.macro PIXEL reg, width, row, column
  .if 3 * \width + 4 <= 63
    ldd \reg, Y + \row * \width + \column
  .elseif \row < 2
    ldd \reg, Y + \row * \width + \column
  .else
    ldd \reg, Z + (\row - 2) * \width + \column
  .endif
.endm

; t0 and t1 of one column: 20 cycles, 16 where row a or row d is the border of zeros.
.macro COLUMN width, edge, column, t0, t1
    PIXEL B, \width, 1, \column
    PIXEL r1, \width, 2, \column
    movw \t0, B
    add \t0, r1
    adc \t0 + 1, ZERO
    movw \t1, \t0
  .if \edge != EDGE_TOP
    PIXEL r0, \width, 0, \column
    add \t0, r0
    adc \t0 + 1, ZERO
  .endif
    add \t0, B
    adc \t0 + 1, ZERO
    add \t1, r1
    adc \t1 + 1, ZERO
  .if \edge != EDGE_BOTTOM
    PIXEL r0, \width, 3, \column
    add \t1, r0
    adc \t1 + 1, ZERO
  .endif
.endm

; The larger of the four convolved values from s[2j] in t, s[2j-1] in s, s[2j+1] in u, into s0 and memory: 20 cycles.
.macro EMIT t0, t1, s0, s1, u0, u1
    MAXW \s0, \u0
    ADDW \s0, \t0
    MAXW \s1, \u1
    ADDW \s1, \t1
    MAXW \s0, \s1
    st X+, \s0
    st X+, \s0 + 1
.endm

; One pooled row, two pixels a turn; `breq 4f` leaves for the last pixel, which has no column to its right.
.macro POOLED_ROW width, edge, last_pixel
    COLUMN \width, \edge, 0, T0, T1
    movw S0, T0
    movw S1, T1
    ldi PAIRS, \width / 4
2:  COLUMN \width, \edge, 1, U0, U1
    ADDW T0, U0
    ADDW T1, U1
    COLUMN \width, \edge, 2, V0, V1
    ADDW U0, V0
    ADDW U1, V1
    EMIT T0, T1, S0, S1, U0, U1
    MINW MIN, S0
    MAXW MAX, S0
    COLUMN \width, \edge, 3, S0, S1
    ADDW V0, S0
    ADDW V1, S1
    dec PAIRS
    breq 4f
    COLUMN \width, \edge, 4, T0, T1
    ADDW S0, T0
    ADDW S1, T1
    EMIT V0, V1, U0, U1, S0, S1
    adiw r28, 4
  .if 3 * \width + 4 > 63
    adiw r30, 4
  .endif
    cp U0, MIN
    cpc U0 + 1, MIN + 1
    brlo 5f
3:  cp MAX, U0
    cpc MAX + 1, U0 + 1
    brlo 6f
    rjmp 2b
6:  movw MAX, U0
    rjmp 2b
4:  rjmp \last_pixel
5:  movw MIN, U0
    rjmp 3b
.endm

.macro PRECONV name, height, width
FUNCTION \name
    PUSH_RANGE 2, 17
    push r28
    push r29
    push r22
    push r20
    push r21
    movw r26, r18
    movw r28, r24
    sbiw r28, \width
  .if 3 * \width + 4 > 63
    movw r30, r28
    adiw r30, \width
    adiw r30, \width
  .endif
    clr ZERO
    ldi MIN, 0xff
    ldi MIN + 1, 0xff
    clr MAX
    clr MAX + 1
    ldi ROWS, \height / 2
    POOLED_ROW \width, EDGE_TOP, 20f
10: POOLED_ROW \width, EDGE_NONE, 20f
11: POOLED_ROW \width, EDGE_BOTTOM, 20f
20: EMIT V0, V1, U0, U1, S0, S1
    MINW MIN, U0
    MAXW MAX, U0
    adiw r28, \width + 4
  .if 3 * \width + 4 > 63
    adiw r30, \width + 4
  .endif
    dec ROWS
    breq 21f
    cpi ROWS, 1
    breq 22f
    rjmp 10b
22: rjmp 11b
21: clr r1
    pop r15
    pop r14
    pop r16
    movw r24, r26
    subi r24, lo8(\height * \width / 2)
    sbci r25, hi8(\height * \width / 2)
    ldi r22, lo8(\height * \width / 4)
    ldi r23, hi8(\height * \width / 4)
    call nn_avr_normalize
    pop r29
    pop r28
    POP_RANGE 2, 17
    ret
END_FUNCTION \name
.endm

#endif
