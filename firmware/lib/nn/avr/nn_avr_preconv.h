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
 *                r20 smallest pooled value so far less 1    r18 largest
 *                r22 pairs of pixels left in the row    r23 pooled rows left
 *                X pooled output    Y row a    Z row c, where three rows are past LDD's reach of 63
 * Stack          24 bytes, those of nn_avr_normalize among them
 * Cycles         with normalisation, 16x16: 6,615 on average over the USPS test digits, 7,751 at most; noise 8,200, of
 *                the lowest contrast 12,700. 28x28: 17,370 on average over the MNIST test digits, 19,520 at most;
 *                noise 23,100, of the lowest contrast 38,300. docs/avr-kernels.md has the formula. */
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

; t0 and t1 of one column: 20 cycles, 16 where row a or row d is the border of zeros. With `blank`, a number, b = c = 0
; (or b + c = 256) leaves for .Lblank, which comes back to .Lfull with the carry kept, or to .Lcolumn with t0, t1 done.
.macro COLUMN width, edge, column, t0, t1, blank=0
    PIXEL B, \width, 1, \column
    PIXEL r1, \width, 2, \column
    movw \t0, B
    add \t0, r1
  .if \blank == 1
    breq .Lblank\blank
  .elseif \blank == 2
    brne .Lfull\blank
    rjmp .Lblank\blank
  .endif
  .if \blank
.Lfull\blank:
  .endif
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
  .if \blank
.Lcolumn\blank:
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

; Tracks the smallest value less one: once that is -1, as it soon is on a blank background, the signed high bytes alone
; decide. 3 cycles then.
.macro TRACK_MIN value
    cp MIN + 1, \value + 1
    brlt 1f
    cp MIN, \value
    cpc MIN + 1, \value + 1
    brlt 1f
    movw MIN, \value
    subi MIN, 1
    sbci MIN + 1, 0
1:
.endm

; Where b = c = 0 in column 2j+1, t0 = a and t1 = d. If these and column 2j+2 are 0 as well, so are t and s of the next
; pixel, and this one is max(t0 + s0, t1 + s1). A third of a USPS digit's inner pixels end here, 21 cycles sooner.
.macro BLANK width, column, t0, t1, s0, s1, u0, u1, v0, v1, blank
.Lblank\blank:
    brcs 9f
    PIXEL \u0, \width, 0, \column
    movw \u1, B
    PIXEL \u1, \width, 3, \column
    mov r0, \u0
    or r0, \u1
    brne 8f
  .if \blank == 2
    cpi PAIRS, 1
    breq 8f
  .endif
    PIXEL r0, \width, 0, (\column + 1)
    PIXEL r1, \width, 1, (\column + 1)
    or r0, r1
    PIXEL r1, \width, 2, (\column + 1)
    or r0, r1
    PIXEL r1, \width, 3, (\column + 1)
    or r0, r1
    brne 8f
    ADDW \s0, \t0
    ADDW \s1, \t1
    MAXW \s0, \s1
    st X+, \s0
    st X+, \s0 + 1
    movw \v0, B
    movw \v1, B
  .if \blank == 2
    dec PAIRS
  .endif
    rjmp .Lemitted\blank
8:  rjmp .Lcolumn\blank
9:  rjmp .Lfull\blank
.endm

; One pooled row, two pixels a turn. Label 4 leaves for the last pixel, which has no column to its right. `blank` and
; `second_blank` are 1 and 2 where blank steps are cut short: the inner rows.
.macro POOLED_ROW width, edge, last_pixel, blank=0, second_blank=0
    COLUMN \width, \edge, 0, T0, T1
    movw S0, T0
    movw S1, T1
    ldi PAIRS, \width / 4
2:  COLUMN \width, \edge, 1, U0, U1, \blank
    ADDW T0, U0
    ADDW T1, U1
    COLUMN \width, \edge, 2, V0, V1
    ADDW U0, V0
    ADDW U1, V1
    EMIT T0, T1, S0, S1, U0, U1
  .if \blank
.Lemitted1:
  .endif
    TRACK_MIN S0
    MAXW MAX, S0
    COLUMN \width, \edge, 3, S0, S1, \second_blank
    ADDW V0, S0
    ADDW V1, S1
    dec PAIRS
    breq 4f
    COLUMN \width, \edge, 4, T0, T1
    ADDW S0, T0
    ADDW S1, T1
    EMIT V0, V1, U0, U1, S0, S1
  .if \blank
.Lemitted2:
  .endif
    adiw r28, 4
  .if 3 * \width + 4 > 63
    adiw r30, 4
  .endif
    TRACK_MIN U0
    cp MAX, U0
    cpc MAX + 1, U0 + 1
    brlo 3f
    rjmp 2b
3:  movw MAX, U0
    rjmp 2b
4:  rjmp \last_pixel
.endm

.macro PRECONV name, height, width
FUNCTION \name
    SAVE_FROM 2
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
    ldi MIN + 1, 0x7f
    clr MAX
    clr MAX + 1
    ldi ROWS, \height / 2
    POOLED_ROW \width, EDGE_TOP, 20f
    BLANK \width, 1, T0, T1, S0, S1, U0, U1, V0, V1, 1
10: POOLED_ROW \width, EDGE_NONE, 20f, 1, 2
    BLANK \width, 3, V0, V1, U0, U1, S0, S1, T0, T1, 2
11: POOLED_ROW \width, EDGE_BOTTOM, 20f
20: EMIT V0, V1, U0, U1, S0, S1
    TRACK_MIN U0
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
    subi MIN, 0xff
    sbci MIN + 1, 0xff
    call nn_avr_normalize
    RETURN_FROM 2
END_FUNCTION \name
.endm

#endif
