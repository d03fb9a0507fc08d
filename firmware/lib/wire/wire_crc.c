#include "wire_crc.h"

#include "wire_cobs.h"
#include "wire_port.h"

/* Where avr/ has the same in assembly, nothing of this is compiled. Both routines share the table, hence the file. */
#if !WIRE_IN_ASSEMBLY

static const uint32_t table[256] WIRE_ROM = {WIRE_CRC_TABLE};

static inline uint32_t step(uint32_t crc, uint8_t byte)
{
    return wire_rom_u32(table + (uint8_t)(crc ^ byte)) ^ crc >> 8;
}

uint32_t wire_crc_add(uint32_t crc, const uint8_t *bytes, uint16_t count)
{
    while (count--)
        crc = step(crc, *bytes++);
    return crc;
}

static inline void put(wire_cobs *cobs, uint8_t byte)
{
    cobs->crc = step(cobs->crc, byte);
    *cobs->to++ = byte;
}

uint8_t wire_cobs_take(wire_cobs *cobs, const uint8_t *bytes, uint8_t count)
{
    uint8_t taken = 0;
    for (; taken < count && bytes[taken] != WIRE_DELIMITER; taken++) {
        const uint8_t byte = bytes[taken];
        if (cobs->run) {
            cobs->run--;
            put(cobs, byte);
        } else {
            if (cobs->block != 0xFF)
                put(cobs, 0);
            cobs->block = byte;
            cobs->run = (uint8_t)(byte - 1);
        }
    }
    return taken;
}

#endif
