/* What the application asks of a classic AVR besides its line: a cycle clock, the stack's depth, why it was reset,
 * a watchdog, and sleep. */
#ifndef BOARD_AVR_H
#define BOARD_AVR_H

#include <avr/io.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Takes Timer1, and starts the watchdog: unless `wdt_reset` is called at least every BOARD_WATCHDOG (of avr/wdt.h), the
 * program begins anew. Interrupts must be off. */
void board_begin(void);

/* CPU cycles since board_begin, wrapping at 2^32, without those that interrupts took: what the program itself used,
 * however busy the line was meanwhile. */
uint32_t board_cycles(void);
uint32_t board_micros(void);

/* Bytes above the static data that the stack has never touched. */
uint16_t board_stack_free(void);
/* Whether the stack has kept off the static data: 0 from when it has touched the two bytes above them. */
uint8_t board_is_stack_whole(void);
/* The end of static data, from the linker script; only its address means anything. */
extern uint8_t __heap_start[];
#define BOARD_RAM_STATIC ((uint16_t)__heap_start - RAMSTART)

/* One of WIRE_RESET_..., unknown where the bootloader does not tell. */
uint8_t board_reset_cause(void);

/* Until an interrupt; at once back if a byte has been received. */
void board_sleep(void);

#ifdef __cplusplus
}
#endif

#endif
