/* Where constants live. On AVR they stay in flash and are read with LPM; elsewhere they are plain memory.
 * The only file of firmware/lib, besides nn/avr, that may include an avr header.
 *
 * nn_far is the address of bytes that may lie anywhere in flash: on chips with more than 64 KiB a pointer does not
 * reach them, so it is a number there, and ELPM reads. NN_FAR(object) makes one, and NN_NEAR(pointer) one of a pointer
 * to what lies within reach; adding a count of bytes steps on. */
#ifndef NN_PORT_H
#define NN_PORT_H

#include <stdint.h>

#if defined(__AVR__)
#include <avr/pgmspace.h>
#define NN_ROM PROGMEM
static inline void nn_rom_copy(void *to, const void *rom, uint8_t count)
{
    memcpy_P(to, rom, count);
}
static inline uint8_t nn_rom_u8(const uint8_t *rom)
{
    return pgm_read_byte(rom);
}
static inline uint16_t nn_rom_u16(const uint16_t *rom)
{
    return pgm_read_word(rom);
}
#if defined(__AVR_HAVE_ELPM__)
typedef uint32_t nn_far;
#define NN_FAR(object)        ((nn_far)pgm_get_far_address(object))
#define NN_NEAR(pointer)      ((nn_far)(uint16_t)(pointer))
#define NN_FAR_READ(kind, at) pgm_read_##kind##_far(at)
#else
typedef const uint8_t *nn_far;
#define NN_FAR(object)        ((nn_far)(const void *)&(object))
#define NN_NEAR(pointer)      ((nn_far)(pointer))
#define NN_FAR_READ(kind, at) pgm_read_##kind(at)
#endif
static inline uint8_t nn_far_u8(nn_far at)
{
    return NN_FAR_READ(byte, at);
}
static inline uint16_t nn_far_u16(nn_far at)
{
    return NN_FAR_READ(word, at);
}
static inline int32_t nn_far_i32(nn_far at)
{
    return (int32_t)NN_FAR_READ(dword, at);
}
#else
#include <string.h>
#define NN_ROM
static inline void nn_rom_copy(void *to, const void *rom, uint8_t count)
{
    memcpy(to, rom, count);
}
static inline uint8_t nn_rom_u8(const uint8_t *rom)
{
    return *rom;
}
static inline uint16_t nn_rom_u16(const uint16_t *rom)
{
    return *rom;
}
typedef const uint8_t *nn_far;
#define NN_FAR(object)   ((nn_far)(const void *)&(object))
#define NN_NEAR(pointer) ((nn_far)(pointer))
/* Little-endian and unaligned, whatever the machine is. */
static inline uint8_t nn_far_u8(nn_far at)
{
    return *at;
}
static inline uint16_t nn_far_u16(nn_far at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}
static inline int32_t nn_far_i32(nn_far at)
{
    return (int32_t)(nn_far_u16(at) | (uint32_t)nn_far_u16(at + 2) << 16);
}
#endif

#endif
