/* Sends how often it has started since power-on (kept in SRAM that the start-up code leaves alone) and MCUSR, which it
 * clears unless KEEP_MCUSR; then, asked with any byte, lets the watchdog reset it. */
#include "board.h"
#include <avr/wdt.h>

static uint8_t boots __attribute__((section(".noinit")));

int main(void)
{
    const uint8_t cause = MCUSR;

#ifndef KEEP_MCUSR
    MCUSR = 0;
#endif
    wdt_disable();
    begin(0);
    boots++;
    put('!');
    put(boots);
    put(cause);
    while (!(UCSR0A & 1 << RXC0))
        ;
    wdt_enable(WDTO_15MS);
    for (;;)
        ;
}
