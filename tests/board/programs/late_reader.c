/* After the first byte it is blind for WAIT_MS, then sends all that it can still read, each byte after its UCSR0A with
 * U2X0 and the transmitter's bits removed; and then 0xEE. */
#define F_CPU 16000000UL
#include "board.h"
#include <util/delay.h>

int main(void)
{
    uint8_t status[4], bytes[4], count = 0;

    begin(0);
    put('!');
    while (!(UCSR0A & 1 << RXC0))
        ;
    _delay_ms(WAIT_MS);
    for (; count < 4 && UCSR0A & 1 << RXC0; count++) {
        status[count] = UCSR0A & (1 << RXC0 | 1 << FE0 | 1 << DOR0);
        bytes[count] = UDR0;
    }
    for (uint8_t i = 0; i < count; i++) {
        put(status[i]);
        put(bytes[i]);
    }
    put(0xEE);
    for (;;)
        ;
}
