/* Words shared by the assembly kernels. gas takes a plain number where a register stands, so a register pair is the
 * number of its low half, and `pair+1` is its high half. */
#ifndef NN_AVR_MACROS_H
#define NN_AVR_MACROS_H

#ifdef __ASSEMBLER__

#define SPL 0x3D
#define SPH 0x3E
#define RAMPZ 0x3B

/* Reads flash at an nn_far in Z, and in RAMPZ where there is one. As third argument of four a far address takes four
 * registers, and the fourth comes two further down. */
#if defined(__AVR_HAVE_ELPM__)
#define LOAD_FAR elpm
#define FAR_THIRD 18
#define FAR_FOURTH 16
#else
#define LOAD_FAR lpm
#define FAR_THIRD 20
#define FAR_FOURTH 18
#endif

; Each routine has its own section, so that the linker drops what a model does not call.
.macro FUNCTION name
    .section .text.\name, "ax", @progbits
    .global \name
    .type \name, @function
\name:
.endm

; The routine that begins here under a second name
.macro ALSO name
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

; Pushes what C wants kept, Y and r2..r17, the latter from `first` on.
.macro SAVE_FROM first
    PUSH_RANGE \first, 17
    push r28
    push r29
.endm

; Z, and RAMPZ where there is one, from the third of four arguments
.macro TAKE_FAR
    movw r30, FAR_THIRD
#if defined(__AVR_HAVE_ELPM__)
    out RAMPZ, FAR_THIRD + 2
#endif
.endm

; Where adding to Z has carried: counts RAMPZ up; r0 is lost
.macro NEXT_BANK
    in r0, RAMPZ
    inc r0
    out RAMPZ, r0
.endm

; Restores it and returns; r1, which products change, must be 0 again by then.
.macro RETURN_FROM first
    pop r29
    pop r28
    POP_RANGE \first, 17
    ret
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

; 16-bit low += a * b, its carry left to the bytes above
.macro ADD_PRODUCT a, b, low
    mul \a, \b
    add \low, r0
    adc \low + 1, r1
.endm

#endif
#endif
