/* Where the CRC table lives: in flash on AVR. `nn` has its own such header; neither library knows the other. */
#ifndef WIRE_PORT_H
#define WIRE_PORT_H

#include <stdint.h>

#if defined(__AVR__)
#define WIRE_ROM __attribute__((__progmem__))
/* value ^ *p, a byte at a time, so that nothing but `value` takes up registers. */
static inline uint32_t wire_rom_xor(const uint32_t *p, uint32_t value)
{
    __asm__("lpm __tmp_reg__, %a1+\n\t"
            "eor %A0, __tmp_reg__\n\t"
            "lpm __tmp_reg__, %a1+\n\t"
            "eor %B0, __tmp_reg__\n\t"
            "lpm __tmp_reg__, %a1+\n\t"
            "eor %C0, __tmp_reg__\n\t"
            "lpm __tmp_reg__, %a1+\n\t"
            "eor %D0, __tmp_reg__"
            : "+r"(value), "+z"(p));
    return value;
}
#else
#define WIRE_ROM
static inline uint32_t wire_rom_xor(const uint32_t *p, uint32_t value)
{
    return value ^ *p;
}
#endif

#endif
