/* USART0 of the classic AVRs, 8N1, by interrupt in both directions. Instead of Arduino's Serial, whose ring holds 63
 * bytes and drops in silence. The interrupts are written in assembly, for speed and because each takes the same number
 * of cycles every time, so that they can be told apart from what they interrupt. */
#ifndef UART_AVR_H
#define UART_AVR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One of WIRE_IS_BAUD_RATE. May be called again to change the rate, once all has been sent; bytes received before are
 * kept. */
void uart_begin(uint32_t baud);

/* How many received bytes lie at *bytes, in one piece; they stay until dropped. */
uint16_t uart_peek(const uint8_t **bytes);
void uart_drop(uint16_t count);

/* Returns once the last byte has found room; they are sent meanwhile. Interrupts must be on. */
void uart_write(const uint8_t *bytes, uint16_t count);

/* With interrupts off it stays true until a byte is received. */
uint8_t uart_is_empty(void);

/* Received bytes lost since reset, in the chip's FIFO or because the ring was full. */
uint16_t uart_overruns(void);

/* How many interrupts there have been since reset, to be read with interrupts off. Each took UART_INTERRUPT_CYCLES
 * from the end of the interrupted instruction to the beginning of the next one. */
uint32_t uart_interrupts(void);

#if defined(__AVR_3_BYTE_PC__)
#define UART_INTERRUPT_CYCLES 47u
#else
#define UART_INTERRUPT_CYCLES 45u
#endif

#ifdef __cplusplus
}
#endif

#endif
