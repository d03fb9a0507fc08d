/* Waits for a byte, then sends eight back to back by UDRE interrupt, and then the cycles from the first write to each
 * UDRE interrupt (8 words) and to the TXC interrupt (1 word). */
#include "board.h"

static volatile uint16_t udre_times[9], txc_time;
static volatile uint8_t writes, done;

ISR(USART_UDRE_vect)
{
    udre_times[writes] = TCNT1;
    if (writes < 8)
        UDR0 = writes;
    else
        UCSR0B &= (uint8_t) ~(1 << UDRIE0);
    writes++;
}

ISR(USART_TX_vect)
{
    txc_time = TCNT1;
    done++;
}

int main(void)
{
    begin(0);
    put('!');
    while (!(UCSR0A & 1 << RXC0))
        ;
    UCSR0A |= 1 << TXC0;
    UCSR0B |= 1 << TXCIE0 | 1 << UDRIE0;
    sei();
    while (!done)
        sleep_mode();
    cli();
    for (uint8_t i = 1; i < 9; i++)
        put16(udre_times[i] - udre_times[0]);
    put16(txc_time - udre_times[0]);
    put(done);
    put((UCSR0A & 1 << TXC0) != 0);
    for (;;)
        ;
}
