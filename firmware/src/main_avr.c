/* The application on a classic AVR, with a main of its own: Arduino's would set up its clock, its PWM and its converter
 * first, for which nothing here has a use but 400 bytes of flash. */
#if defined(__AVR__) && defined(ARDUINO)

#include <avr/interrupt.h>
#include <avr/wdt.h>

#include "app.h"
#include "board_avr.h"
#include "ram_avr.h"
#include "uart_avr.h"

#if defined(__AVR_ATmega2560__)
#define BOARD_NAME "atmega2560"
#elif defined(__AVR_ATmega1284P__)
#define BOARD_NAME "atmega1284p"
#elif defined(__AVR_ATmega328P__)
#define BOARD_NAME "atmega328p"
#else
#define BOARD_NAME "atmega168"
#endif

static uint16_t peek(void *context, const uint8_t **bytes)
{
    (void)context;
    return uart_peek(bytes);
}

static void drop(void *context, uint16_t count)
{
    (void)context;
    uart_drop(count);
}

static void put(void *context, const uint8_t *bytes, uint16_t count)
{
    (void)context;
    uart_write(bytes, count);
}

static void set_baud(void *context, uint32_t baud)
{
    (void)context;
    uart_begin(baud);
}

static uint32_t ticks(void *context)
{
    (void)context;
    return board_cycles();
}

static uint32_t micros(void *context)
{
    (void)context;
    return board_micros();
}

static uint16_t overruns(void *context)
{
    (void)context;
    return uart_overruns();
}

static uint16_t stack_free(void *context)
{
    (void)context;
    return board_stack_free();
}

static uint8_t is_stack_whole(void *context)
{
    (void)context;
    return board_is_stack_whole();
}

static uint8_t reset_cause(void *context)
{
    (void)context;
    return board_reset_cause();
}

static app_state app;
static const app_port port = {
    .peek = peek,
    .drop = drop,
    .write = put,
    .set_baud = set_baud,
    .ticks = ticks,
    .micros = micros,
    .overruns = overruns,
    .stack_free = stack_free,
    .is_stack_whole = is_stack_whole,
    .reset_cause = reset_cause,
    .clock_hz = F_CPU,
    .tick_hz = F_CPU,
    .ram_static = BOARD_RAM_STATIC,
    .slots = RAM_SLOTS,
    .board = BOARD_NAME,
};

int main(void)
{
    board_begin();
    uart_begin(WIRE_DEFAULT_BAUD);
    sei();
    app_init(&app, &port);
    for (;;) {
        wdt_reset();
        if (!app_step(&app, &port))
            board_sleep();
    }
}

#endif
