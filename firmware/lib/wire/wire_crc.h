/* zlib's CRC-32.
 *
 *     uint32_t crc = WIRE_CRC_INIT;
 *     crc = wire_crc_add(crc, bytes, count);       as often as there are pieces
 *     uint32_t check = ~crc;
 */
#ifndef WIRE_CRC_H
#define WIRE_CRC_H

#include <stdint.h>

#include "wire_ids.h"

#ifdef __cplusplus
extern "C" {
#endif

uint32_t wire_crc_add(uint32_t crc, const uint8_t *bytes, uint16_t count);

#ifdef __cplusplus
}
#endif

#endif
