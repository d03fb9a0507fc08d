/* Sends back what it receives, through a ring of 256 bytes. */
#include "board.h"

static volatile uint8_t ring[256];
static volatile uint8_t head, tail;

ISR(USART_RX_vect)
{
    ring[head] = UDR0;
    head++;
    UCSR0B |= 1 << UDRIE0;
}

ISR(USART_UDRE_vect)
{
    if (tail != head)
        UDR0 = ring[tail++];
    else
        UCSR0B &= (uint8_t) ~(1 << UDRIE0);
}

int main(void)
{
    begin(1 << RXCIE0);
    put('!');
    sei();
    for (;;)
        sleep_mode();
}
