/* Words shared by the assembly twins. gas takes a plain number where a register stands, so a register pair is the
 * number of its low half, and `pair+1` is its high half. */
#ifndef NN_AVR_MACROS_H
#define NN_AVR_MACROS_H

#ifdef __ASSEMBLER__

#define SPL 0x3D
#define SPH 0x3E
#define RAMPZ 0x3B

; Each routine has its own section, so that the linker drops what a model does not call.
.macro FUNCTION name
    .section .text.\name, "ax", @progbits
    .global \name
    .type \name, @function
\name:
.endm

.macro END_FUNCTION name
    .size \name, . - \name
.endm

.macro PUSH_RANGE from, to
    push \from
  .if \from < \to
    PUSH_RANGE (\from+1), \to
  .endif
.endm

.macro POP_RANGE from, to
    pop \to
  .if \from < \to
    POP_RANGE \from, (\to-1)
  .endif
.endm

; 16-bit a += b, 2 cycles
.macro ADDW a, b
    add \a, \b
    adc \a + 1, \b + 1
.endm

; 16-bit unsigned a = max(a, b), 4 cycles either way
.macro MAXW a, b
    cp \a, \b
    cpc \a + 1, \b + 1
    brsh 1f
    movw \a, \b
1:
.endm

#endif
#endif
