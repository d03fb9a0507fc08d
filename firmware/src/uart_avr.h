/* USART0 of the classic AVRs, 8N1, received by interrupt into a ring that is large enough for a burst during one
 * inference, sent by waiting. Instead of Arduino's Serial, whose ring holds 63 bytes and drops in silence. */
#ifndef UART_AVR_H
#define UART_AVR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Both may be called again to change the rate; bytes received before are kept, a byte on its way out is waited for. */
void uart_begin(uint32_t baud);

/* The next received byte, or -1. */
int16_t uart_read(void);

void uart_write(uint8_t byte);

/* With interrupts off it stays true until a byte is received. */
uint8_t uart_is_empty(void);

/* Received bytes lost since reset, in the chip's FIFO or because the ring was full. */
uint16_t uart_overruns(void);

/* Bytes received without a stop bit since reset: a wrong rate or noise. Handed on like any other. */
uint16_t uart_framing_errors(void);

#ifdef __cplusplus
}
#endif

#endif
