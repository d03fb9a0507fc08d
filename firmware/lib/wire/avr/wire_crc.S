/* uint32_t wire_crc_add(uint32_t crc, const uint8_t *bytes, uint16_t count);
 *
 * 51 cycles a byte; 27 with WIRE_CRC_FAST. Registers: r22..r25 the CRC, X the bytes, r18:r19 what is left of them, Z the
 * table, r0 and r20 CRC_STEP's. */
#include "wire_port.h"

#if WIRE_IN_ASSEMBLY
#include "wire_avr_crc.h"
#include "wire_ids.h"

    .section .progmem.data.wire_crc, "a", @progbits
#if defined(WIRE_CRC_FAST)
    .global wire_crc_planes
wire_crc_planes:
    .irp word, WIRE_CRC_TABLE
    .byte (\word) & 0xFF
    .endr
    .irp word, WIRE_CRC_TABLE
    .byte ((\word) >> 8) & 0xFF
    .endr
    .irp word, WIRE_CRC_TABLE
    .byte ((\word) >> 16) & 0xFF
    .endr
    .irp word, WIRE_CRC_TABLE
    .byte ((\word) >> 24) & 0xFF
    .endr
#else
    .global wire_crc_low
wire_crc_low:
    .long WIRE_CRC_LOW
    .global wire_crc_high
wire_crc_high:
    .long WIRE_CRC_HIGH
#endif

    .section .text.wire_crc_add, "ax", @progbits
    .global wire_crc_add
    .type wire_crc_add, @function
wire_crc_add:
    movw r26, r20
    rjmp 2f
1:  ld r30, X+
    eor r30, r22
    CRC_STEP r22, r23, r24, r25, r20
2:  subi r18, 1
    brcc 1b
    subi r19, 1
    brcc 1b
    ret
    .size wire_crc_add, . - wire_crc_add
#endif
