/* uint8_t wire_cobs_take(wire_cobs *cobs, const uint8_t *bytes, uint8_t count);
 *
 * 58 cycles for a byte inside a block, 62 for a block that follows a zero, and 70 a call; with WIRE_CRC_FAST 34, 38, 70.
 * Registers: r18 the block's code, r20..r23 the CRC, r24 bytes left, r25 bytes left in the block, X the bytes, Y where
 * they go, Z the table, and the struct at both ends of the routine; r0 and r19 CRC_STEP's. */
#include "wire_port.h"

#if WIRE_IN_ASSEMBLY
#include "wire_avr_crc.h"

/* wire_cobs in wire_cobs.h */
#define CRC   0
#define TO    4
#define RUN   6
#define BLOCK 7

    .section .text.wire_cobs_take, "ax", @progbits
    .global wire_cobs_take
    .type wire_cobs_take, @function
wire_cobs_take:
    push r28
    push r29
    push r24
    push r25
    push r20
    movw r26, r22
    movw r30, r24
    mov r24, r20
    ldd r20, Z + CRC
    ldd r21, Z + CRC + 1
    ldd r22, Z + CRC + 2
    ldd r23, Z + CRC + 3
    ldd r28, Z + TO
    ldd r29, Z + TO + 1
    ldd r25, Z + RUN
    ldd r18, Z + BLOCK
    tst r25
    breq .Lblock
.Lbyte:
    ld r30, X+
    tst r30
    breq .Lend
    dec r25
    st Y+, r30
    eor r30, r20
.Lstep:
    CRC_STEP r20, r21, r22, r23, r19
.Lnext:
    dec r24
    breq .Lend
    tst r25
    brne .Lbyte
.Lblock:
    ld r30, X+
    mov r25, r30
    subi r25, 1
    brcs .Lzero
    cpi r18, 0xFF
    mov r18, r30
    breq .Lnext
    st Y+, r1
    mov r30, r20
    rjmp .Lstep
.Lzero:
    clr r25
.Lend:
    pop r19
    pop r31
    pop r30
    std Z + CRC, r20
    std Z + CRC + 1, r21
    std Z + CRC + 2, r22
    std Z + CRC + 3, r23
    std Z + TO, r28
    std Z + TO + 1, r29
    std Z + RUN, r25
    std Z + BLOCK, r18
    sub r19, r24
    mov r24, r19
    pop r29
    pop r28
    ret
    .size wire_cobs_take, . - wire_cobs_take
#endif
