#if defined(__AVR__) && defined(ARDUINO)

#include "uart_avr.h"

#include <avr/interrupt.h>
#include <avr/io.h>
#include <util/atomic.h>

#ifdef USART_RX_vect
#define RX_VECTOR USART_RX_vect
#else
#define RX_VECTOR USART0_RX_vect
#endif

/* A power of two up to 256, so that 8-bit indices wrap by a mask. Where there is room, large enough for all that comes
 * in ahead of the application while an image arrives at 1 Mbaud. */
#ifndef UART_RX_BYTES
#define UART_RX_BYTES (RAMEND >= 0x8FF ? 256 : 128)
#endif
#define RX_MASK ((uint8_t)(UART_RX_BYTES - 1))

static volatile uint8_t ring[UART_RX_BYTES];
static volatile uint8_t head; /* written by the interrupt: where the next byte goes */
static volatile uint8_t tail; /* written by the reader: where the next byte is */
static volatile uint16_t overruns;
static volatile uint16_t framing_errors;
static uint8_t has_sent;

ISR(RX_VECTOR)
{
    const uint8_t status = UCSR0A; /* belongs to the byte that the next read of UDR0 takes */
    const uint8_t byte = UDR0;
    const uint8_t next = (uint8_t)((head + 1) & RX_MASK);
    if (status & _BV(DOR0))
        overruns++;
    if (status & _BV(FE0))
        framing_errors++;
    if (next == tail) {
        overruns++;
        return;
    }
    ring[head] = byte;
    head = next;
}

/* TXC0 says that the last stop bit has left; it is cleared at each write. */
static void wait_until_sent(void)
{
    while (has_sent && !(UCSR0A & _BV(TXC0)))
        ;
}

void uart_begin(uint32_t baud)
{
    wait_until_sent();
    has_sent = 0;
    /* Double speed, whose finer divisor comes closer to 115200 at 16 MHz. Before UBRR0, because simavr takes the rate
     * when UBRR0 is written. Rounded to nearest; UBRR0H first, as the data sheet asks. */
    const uint16_t divisor = (uint16_t)((F_CPU / 4 / baud - 1) / 2);
    UCSR0A = _BV(U2X0) | _BV(TXC0);
    UBRR0H = (uint8_t)(divisor >> 8);
    UBRR0L = (uint8_t)divisor;
    UCSR0C = _BV(UCSZ01) | _BV(UCSZ00);
    UCSR0B = _BV(RXCIE0) | _BV(RXEN0) | _BV(TXEN0);
}

int16_t uart_read(void)
{
    const uint8_t at = tail;
    if (at == head)
        return -1;
    const uint8_t byte = ring[at];
    tail = (uint8_t)((at + 1) & RX_MASK);
    return byte;
}

void uart_write(uint8_t byte)
{
    while (!(UCSR0A & _BV(UDRE0)))
        ;
    /* With interrupts off: between clearing TXC0 and filling UDR0 the byte before could end and set it again. */
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE)
    {
        UCSR0A = _BV(U2X0) | _BV(TXC0);
        UDR0 = byte;
    }
    has_sent = 1;
}

uint8_t uart_is_empty(void)
{
    return head == tail;
}

static uint16_t read_atomically(const volatile uint16_t *counter)
{
    uint16_t value;
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE)
    {
        value = *counter;
    }
    return value;
}

uint16_t uart_overruns(void)
{
    return read_atomically(&overruns);
}

uint16_t uart_framing_errors(void)
{
    return read_atomically(&framing_errors);
}

#endif
