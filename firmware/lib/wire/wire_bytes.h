/* Little-endian integers in a payload, whatever the machine's own order and alignment. */
#ifndef WIRE_BYTES_H
#define WIRE_BYTES_H

#include <stdint.h>

static inline void wire_store_u16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}

static inline void wire_store_u32(uint8_t *at, uint32_t value)
{
    wire_store_u16(at, (uint16_t)value);
    wire_store_u16(at + 2, (uint16_t)(value >> 16));
}

static inline uint32_t wire_load_u32(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

#endif
