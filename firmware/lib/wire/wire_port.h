/* Which code runs where. On AVR two routines exist a second time in avr/, in assembly and with the same bits;
 * -DWIRE_PORTABLE forces the C. `nn` has its own such header; neither library knows the other. */
#ifndef WIRE_PORT_H
#define WIRE_PORT_H

#if defined(__AVR__) && !defined(WIRE_PORTABLE)
#define WIRE_IN_ASSEMBLY 1
#else
#define WIRE_IN_ASSEMBLY 0
#endif

#if defined(__AVR__)
#define WIRE_ROM __attribute__((__progmem__))
#else
#define WIRE_ROM
#endif

#if !defined(__ASSEMBLER__)
#include <stdint.h>

/* *p, wherever WIRE_ROM has put it. */
static inline uint32_t wire_rom_u32(const uint32_t *p)
{
#if defined(__AVR__)
    uint32_t value;
    __asm__("lpm %A0, %a1+\n\t"
            "lpm %B0, %a1+\n\t"
            "lpm %C0, %a1+\n\t"
            "lpm %D0, %a1+"
            : "=&r"(value), "+z"(p));
    return value;
#else
    return *p;
#endif
}
#endif

#endif
