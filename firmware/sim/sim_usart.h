/* USART0 of chips that have it at 0xC0 (ATmega328P, 1284P, 2560) in asynchronous 8N1, in place of libsimavr's, whose
 * 64-byte receive FIFO never overruns. As on the chip: two received characters in the FIFO and one in the shift
 * register, DOR when a start bit finds all three full; one transmit buffer before the shift register; RXC, UDRE
 * level-triggered, TXC not. The other end is a line: it calls usart_rx_*, and is called when a character has left. */
#ifndef SIM_USART_H
#define SIM_USART_H

#include <stdbool.h>
#include <stdint.h>

#include <sim_avr.h>

#define USART_FRAME_BITS 10u

typedef struct usart usart_t;

/* Called at cycle `when`, the end of the stop bit; and on every reset of the core, after the registers are reset. */
typedef void (*usart_sent)(void *line, uint8_t byte, avr_cycle_count_t when);
typedef void (*usart_was_reset)(void *line);

typedef struct {
    uint8_t byte;
    bool framing_error;
} usart_char;

struct usart {
    avr_io_t io; /* first: libsimavr hands it back on reset */
    avr_t *avr;
    avr_int_vector_t *rxc, *udre, *txc;
    usart_char fifo[2];
    uint8_t fifo_count;
    usart_char shift; /* complete, waiting for room in the FIFO */
    bool shift_full, overrun;
    bool sending, buffered, sent_all;
    uint8_t sending_byte, buffered_byte;
    uint64_t overruns, framing_errors, misconfigured;
    void *line;
    usart_sent on_sent;
    usart_was_reset on_reset;
};

/* Takes USART0 over from libsimavr. Returns false on a core without it. `usart` must not move afterwards. */
bool usart_attach(usart_t *usart, avr_t *avr, void *line, usart_sent on_sent, usart_was_reset on_reset);

void usart_rx_start(usart_t *usart);
void usart_rx_end(usart_t *usart, uint8_t byte, bool framing_error);

/* CPU cycles per bit as UBRR0 and U2X0 stand now. */
uint32_t usart_bit_cycles(const usart_t *usart);

#endif
