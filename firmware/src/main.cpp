/* The application as a sketch on any Arduino board but the classic AVRs, which have main_avr.c: through Arduino's
 * Serial and clock, about whose insides nothing is assumed. */
#if defined(ARDUINO) && !defined(__AVR__)

#include <Arduino.h>

#include "app.h"

#if defined(ARDUINO_ARCH_ESP32)
#define BOARD_NAME "esp32"
#elif defined(ARDUINO_ARCH_RP2040) || defined(ARDUINO_ARCH_MBED_RP2040)
#define BOARD_NAME "rp2040"
#else
#define BOARD_NAME "arduino"
#endif
#if defined(F_CPU)
#define CLOCK_HZ F_CPU
#else
#define CLOCK_HZ 0 /* not known when compiling */
#endif

static app_state app;
static app_port port;

/* Out of Serial, which gives no view into its own buffer. */
static uint8_t taken[64];
static uint8_t taken_first;
static uint8_t taken_end;

static uint16_t peek(void *, const uint8_t **bytes)
{
    if (taken_first == taken_end) {
        const int waiting = Serial.available();
        const size_t count = waiting < (int)sizeof taken ? (size_t)(waiting > 0 ? waiting : 0) : sizeof taken;
        taken_first = 0;
        taken_end = (uint8_t)Serial.readBytes((char *)taken, count);
    }
    *bytes = taken + taken_first;
    return (uint16_t)(taken_end - taken_first);
}

static void drop(void *, uint16_t count)
{
    taken_first = (uint8_t)(taken_first + count);
}

static void put(void *, const uint8_t *bytes, uint16_t count)
{
    Serial.write(bytes, count);
}

static void set_baud(void *, uint32_t baud)
{
    Serial.flush();
    Serial.begin(baud);
}

static uint32_t read_micros(void *)
{
    return micros();
}

static uint16_t no_overruns(void *)
{
    return 0; /* Serial does not count them */
}

static uint16_t unknown_stack(void *)
{
    return APP_UNKNOWN;
}

static uint8_t presumed_whole(void *)
{
    return 1; /* Arduino's cores do not tell where the stack ends */
}

static uint8_t unknown_cause(void *)
{
    return WIRE_RESET_UNKNOWN;
}

void setup()
{
    port.peek = peek;
    port.drop = drop;
    port.write = put;
    port.set_baud = set_baud;
    port.ticks = read_micros;
    port.micros = read_micros;
    port.overruns = no_overruns;
    port.stack_free = unknown_stack;
    port.is_stack_whole = presumed_whole;
    port.clock_hz = CLOCK_HZ;
    port.tick_hz = 1000000UL;
    port.ram_static = APP_UNKNOWN;
    port.slots = 1; /* Serial's buffer may be smaller than a frame, and differs from board to board */
    port.reset_cause = unknown_cause;
    port.board = BOARD_NAME;
    set_baud(nullptr, WIRE_DEFAULT_BAUD);
    app_init(&app, &port);
}

void loop()
{
    if (!app_step(&app, &port))
        yield();
}

#endif
