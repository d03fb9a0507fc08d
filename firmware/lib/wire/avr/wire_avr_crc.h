/* One step of the CRC-32 for the assembly here: a byte into the register \c0..\c3. r30 holds byte ^ \c0; Z, r0 and \t
 * are lost. Either from 128 bytes of table, which is the default, or with -DWIRE_CRC_FAST from 1,024. */
#ifndef WIRE_AVR_CRC_H
#define WIRE_AVR_CRC_H

#if defined(WIRE_CRC_FAST)
/* 21 cycles. The table lies as four planes of 256 bytes, so that counting ZH leads from one to the next. */
.macro CRC_STEP c0, c1, c2, c3, t
    ldi r31, 0
    subi r30, lo8(-(wire_crc_planes))
    sbci r31, hi8(-(wire_crc_planes))
    lpm \c0, Z
    eor \c0, \c1
    inc r31
    lpm \c1, Z
    eor \c1, \c2
    inc r31
    lpm \c2, Z
    eor \c2, \c3
    inc r31
    lpm \c3, Z
.endm
#else
/* 45 cycles: the CRC is linear, so the two halves of the index are looked up apart. */
.macro CRC_STEP c0, c1, c2, c3, t
    mov \t, r30
    andi r30, 0x0F
    lsl r30
    lsl r30
    ldi r31, 0
    subi r30, lo8(-(wire_crc_low))
    sbci r31, hi8(-(wire_crc_low))
    lpm \c0, Z+
    eor \c0, \c1
    lpm \c1, Z+
    eor \c1, \c2
    lpm \c2, Z+
    eor \c2, \c3
    lpm \c3, Z
    mov r30, \t
    andi r30, 0xF0
    lsr r30
    lsr r30
    ldi r31, 0
    subi r30, lo8(-(wire_crc_high))
    sbci r31, hi8(-(wire_crc_high))
    lpm r0, Z+
    eor \c0, r0
    lpm r0, Z+
    eor \c1, r0
    lpm r0, Z+
    eor \c2, r0
    lpm r0, Z
    eor \c3, r0
.endm
#endif

#endif
