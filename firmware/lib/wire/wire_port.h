/* Where the CRC table lives: in flash on AVR. `nn` has its own such header; neither library knows the other. */
#ifndef WIRE_PORT_H
#define WIRE_PORT_H

#include <stdint.h>

#if defined(__AVR__)
#define WIRE_ROM __attribute__((__progmem__))
static inline uint32_t wire_rom_u32(const uint32_t *p)
{
    uint32_t value;
    __asm__("lpm %A0, %a1+\n\t"
            "lpm %B0, %a1+\n\t"
            "lpm %C0, %a1+\n\t"
            "lpm %D0, %a1"
            : "=&r"(value), "+z"(p));
    return value;
}
#else
#define WIRE_ROM
static inline uint32_t wire_rom_u32(const uint32_t *p)
{
    return *p;
}
#endif

#endif
