/* Sends `F` for every received byte with a framing error, `.` for every other. */
#include "board.h"

int main(void)
{
    begin(0);
    put('!');
    for (;;) {
        while (!(UCSR0A & 1 << RXC0))
            ;
        const uint8_t status = UCSR0A;
        (void)UDR0;
        put(status & 1 << FE0 ? 'F' : '.');
    }
}
