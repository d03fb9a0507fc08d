/* Calls any routine on a simulated AVR for avr_machine.py: bytes come in through GPIOR1 and go out there. Commands:
 *   P address length bytes...   writes RAM (16-bit numbers, low byte first)
 *   G address length            sends RAM
 *   C call                      fills `call`, calls, sends the 16-bit result and how many registers were not as they
 *                               must be
 * `room` is RAM to work in; `blob`, in flash, is written by the test. */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/pgmspace.h>
#include <avr/sleep.h>
#include <stddef.h>

extern const uint8_t blob[];

/* avr_call.S knows the offsets. */
struct call {
    uint8_t registers[24]; /* r2..r25: what must survive, and the arguments */
    uint16_t function;     /* in words */
    uint8_t region;
    uint16_t result;
    uint8_t broken;
};

void avr_call(struct call *call);

#ifndef ROOM_BYTES
#define ROOM_BYTES 1500
#endif

uint8_t room[ROOM_BYTES];
static struct call call;

static uint16_t next16(void)
{
    const uint8_t low = GPIOR1;
    return (uint16_t)(low | (uint16_t)GPIOR1 << 8);
}

static void take(uint8_t *at, uint16_t length)
{
    while (length--)
        *at++ = GPIOR1;
}

static void give(const uint8_t *at, uint16_t length)
{
    while (length--)
        GPIOR1 = *at++;
}

int main(void)
{
    while (GPIOR2 & 1) {
        const uint8_t command = GPIOR1;
        if (command == 'C') {
            take((uint8_t *)&call, offsetof(struct call, result));
            avr_call(&call);
            give((const uint8_t *)&call.result, 3);
            continue;
        }
        uint8_t *const at = (uint8_t *)next16();
        const uint16_t length = next16();
        if (command == 'P')
            take(at, length);
        else
            give(at, length);
    }
    GPIOR1 = pgm_read_byte(blob); /* keeps it in the program */
    cli();
    sleep_mode();
    return 0;
}
