#include "wire_crc.h"

const uint32_t wire_crc_table[256] WIRE_ROM = WIRE_CRC_TABLE;

uint32_t wire_crc(const uint8_t *bytes, uint16_t count)
{
    uint32_t crc = WIRE_CRC_INIT;
    while (count--)
        crc = wire_crc_step(crc, *bytes++);
    return ~crc;
}
