/* Sleeps, and sends `t` every 65,536 x 8 cycles (32.768 ms). */
#include "board.h"

ISR(TIMER1_OVF_vect)
{
    UDR0 = 't';
}

int main(void)
{
    begin(0);
    TCCR1B = 1 << CS11;
    TIMSK1 = 1 << TOIE1;
    put('!');
    sei();
    for (;;)
        sleep_mode();
}
