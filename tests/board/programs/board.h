/* What the board tests' programs share: USART0 at a rate given by its divisor, Timer1 counting cycles. Every program
 * says `!` once it listens. */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>

#ifndef DIVISOR
#define DIVISOR 3 /* 500000 baud at 16 MHz with U2X */
#endif
#ifdef USART0_RX_vect /* ATmega2560 */
#define USART_RX_vect   USART0_RX_vect
#define USART_UDRE_vect USART0_UDRE_vect
#define USART_TX_vect   USART0_TX_vect
#endif

static inline void put(uint8_t byte)
{
    while (!(UCSR0A & 1 << UDRE0))
        ;
    UDR0 = byte;
}

static inline void put16(uint16_t word)
{
    put((uint8_t)word);
    put((uint8_t)(word >> 8));
}

static inline void begin(uint8_t enables)
{
    UCSR0A = 1 << U2X0;
    UBRR0 = DIVISOR;
    UCSR0B = 1 << RXEN0 | 1 << TXEN0 | enables;
    TCCR1B = 1 << CS10;
    set_sleep_mode(SLEEP_MODE_IDLE);
}
