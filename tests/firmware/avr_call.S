/* void avr_call(struct call *call): calls a routine with every register that it must keep filled, and looks at them
 * afterwards. Around the routine the region counts 4 cycles: ICALL 3, and CLR for the closing mark. */
#define GPIOR0 0x1e

.macro EACH_SAVED operation
    .irp number, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 28, 29
        \operation \number
    .endr
.endm

.macro EACH_SAVED_BACKWARDS operation
    .irp number, 29, 28, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2
        \operation \number
    .endr
.endm

.macro COMPARE register
    ld r30, X+
    cpse \register, r30
    inc r31
.endm

    .section .text.avr_call, "ax", @progbits
    .global avr_call
    .type avr_call, @function
avr_call:
    EACH_SAVED push
    push r24
    push r25
    movw r26, r24
    .irp number, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25
        ld \number, X+
    .endr
    ld r30, X+
    ld r31, X+
    ld r0, X
    ldi r26, 0x5a
    mov r28, r26
    mov r29, r26
    out GPIOR0, r0
    icall
    clr r30
    out GPIOR0, r30
    pop r27
    pop r26
    clr r31
    .irp number, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17
        COMPARE \number
    .endr
    ldi r30, 0x5a
    cpse r28, r30
    inc r31
    cpse r29, r30
    inc r31
    clr r30
    cpse r1, r30
    inc r31
    clr r1
    adiw r26, 11 ; over r18..r25, function and region
    st X+, r24
    st X+, r25
    st X, r31
    EACH_SAVED_BACKWARDS pop
    ret
    .size avr_call, . - avr_call
