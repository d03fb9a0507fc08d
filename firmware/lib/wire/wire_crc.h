/* zlib's CRC-32, a byte at a time.
 *
 *     uint32_t crc = WIRE_CRC_INIT;
 *     crc = wire_crc_step(crc, byte);       for each byte
 *     uint32_t check = ~crc;
 */
#ifndef WIRE_CRC_H
#define WIRE_CRC_H

#include <stdint.h>

#include "wire_ids.h"
#include "wire_port.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const uint32_t wire_crc_table[256] WIRE_ROM;

static inline uint32_t wire_crc_step(uint32_t crc, uint8_t byte)
{
    return wire_rom_xor(wire_crc_table + (uint8_t)(crc ^ byte), crc >> 8);
}

/* The CRC of `count` bytes in RAM, as zlib.crc32 gives it. */
uint32_t wire_crc(const uint8_t *bytes, uint16_t count);

#ifdef __cplusplus
}
#endif

#endif
