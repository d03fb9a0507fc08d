/* The application on an Arduino board. The classic AVRs use their own line and clock (uart_avr.h, board_avr.h), all
 * other boards Arduino's. */
#if defined(ARDUINO)

#include <Arduino.h>

#include "app.h"

#if defined(__AVR_ATmega328P__) || defined(__AVR_ATmega168__) || defined(__AVR_ATmega168P__) ||                        \
    defined(__AVR_ATmega2560__)
#include "board_avr.h"
#include "uart_avr.h"
#define CLASSIC_AVR 1
#else
#define CLASSIC_AVR 0
#endif

static app_state app;
static app_port port;

#if CLASSIC_AVR

#if defined(__AVR_ATmega2560__)
#define BOARD_NAME "atmega2560"
#elif defined(__AVR_ATmega328P__)
#define BOARD_NAME "atmega328p"
#else
#define BOARD_NAME "atmega168"
#endif
#define CLOCK_HZ F_CPU
#define TICK_HZ  F_CPU

static int16_t read_byte(void *)
{
    return uart_read();
}
static void write_byte(void *, uint8_t value)
{
    uart_write(value);
}
static void set_baud(void *, uint32_t baud)
{
    uart_begin(baud);
}
static uint32_t read_ticks(void *)
{
    return board_cycles();
}
static uint32_t read_micros(void *)
{
    return board_micros();
}
static uint16_t read_overruns(void *)
{
    return uart_overruns();
}
static uint16_t read_stack_free(void *)
{
    return board_stack_free();
}

static void begin_board()
{
    board_begin();
    port.ram_static = board_ram_static();
    port.reset_cause = board_reset_cause();
}

static void rest()
{
    board_sleep();
}

#else

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
#define TICK_HZ 1000000UL

static int16_t read_byte(void *)
{
    return Serial.available() > 0 ? (int16_t)Serial.read() : (int16_t)-1;
}
static void write_byte(void *, uint8_t value)
{
    Serial.write(value);
}
static uint32_t read_ticks(void *)
{
    return micros();
}
static uint32_t read_micros(void *)
{
    return micros();
}
static uint16_t read_overruns(void *)
{
    return 0;
} /* Serial does not count them */
static uint16_t read_stack_free(void *)
{
    return APP_UNKNOWN;
}

static void set_baud(void *, uint32_t baud)
{
    Serial.flush();
    Serial.begin(baud);
}

static void begin_board()
{
    port.ram_static = APP_UNKNOWN;
    port.reset_cause = WIRE_RESET_UNKNOWN;
}

static void rest()
{
    yield();
}

#endif

void setup()
{
    begin_board();
    port.read = read_byte;
    port.write = write_byte;
    port.set_baud = set_baud;
    port.ticks = read_ticks;
    port.micros = read_micros;
    port.overruns = read_overruns;
    port.stack_free = read_stack_free;
    port.clock_hz = CLOCK_HZ;
    port.tick_hz = TICK_HZ;
    port.board = BOARD_NAME;
    set_baud(nullptr, WIRE_DEFAULT_BAUD);
    app_init(&app, &port);
}

void loop()
{
    if (!app_step(&app))
        rest();
}

#endif
