/* Waits for a byte and does what it asks for. */
#include "board.h"

static uint8_t recurse(uint8_t depth)
{
    volatile uint8_t frame[32];

    frame[depth & 31] = depth;
    return (uint8_t)(recurse((uint8_t)(depth + 1)) + frame[depth & 31]);
}

int main(void)
{
    begin(0);
    put('!');
    while (!(UCSR0A & 1 << RXC0))
        ;
    switch (UDR0) {
    case 'o':
        __asm__ volatile(".word 0x94FB");
        break; /* no such instruction */
    case 'w':
        *(volatile uint8_t *)0xF000 = 1;
        break;
    case 's':
        put(recurse(0));
        break;
    case 'j':
        ((void (*)(void))0x3FFF)();
        break;
    case 'h':
        cli();
        sleep_mode();
        break;
    }
    put('.');
    for (;;)
        ;
}
