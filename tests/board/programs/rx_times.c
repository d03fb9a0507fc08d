/* Sends the cycles between the arrivals of 32 bytes, 31 words, low byte first. */
#include "board.h"

static volatile uint16_t times[32];
static volatile uint8_t count;

ISR(USART_RX_vect)
{
    times[count] = TCNT1;
    (void)UDR0;
    count++;
}

int main(void)
{
    begin(1 << RXCIE0);
    put('!');
    sei();
    while (count < 32)
        sleep_mode();
    cli();
    for (uint8_t i = 1; i < 32; i++)
        put16(times[i] - times[i - 1]);
    for (;;)
        ;
}
