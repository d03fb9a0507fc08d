/* What the application asks of a classic AVR besides its line: a cycle clock, the stack's depth, why it was reset,
 * and sleep. */
#ifndef BOARD_AVR_H
#define BOARD_AVR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Takes Timer1, and stops Arduino's own clock (Timer0's interrupt). */
void board_begin(void);

/* CPU cycles since board_begin, wrapping at 2^32. */
uint32_t board_cycles(void);
uint32_t board_micros(void);

/* Bytes above the static data that the stack has never touched. */
uint16_t board_stack_free(void);
uint16_t board_ram_static(void);

/* One of WIRE_RESET_..., unknown where the bootloader does not tell. */
uint8_t board_reset_cause(void);

/* Until an interrupt; at once back if a byte has been received. */
void board_sleep(void);

#ifdef __cplusplus
}
#endif

#endif
