/* Answers each byte with the time, in units of 8 cycles, from the end of its last answer to that byte's arrival. */
#include "board.h"

static volatile uint16_t since, arrived;
static volatile uint8_t asked;

ISR(USART_TX_vect)
{
    since = TCNT1;
}

ISR(USART_RX_vect)
{
    arrived = TCNT1;
    (void)UDR0;
    asked = 1;
}

int main(void)
{
    begin(1 << RXCIE0 | 1 << TXCIE0);
    TCCR1B = 1 << CS11;
    put('!');
    sei();
    for (;;) {
        while (!asked)
            sleep_mode();
        asked = 0;
        put16(arrived - since);
    }
}
