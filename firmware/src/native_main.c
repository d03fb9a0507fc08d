/* The application as a program: the wire on standard input and output, end of input ends it. A pipe has no rate, so
 * every baud rate is as good as another. */
#if !defined(ARDUINO)

#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "app.h"

#define REST_MS 10 /* so that READY repeats while nothing comes */
#define SLOTS   2  /* a pipe loses nothing, so it could be any number: as on most boards */

typedef struct {
    uint8_t in[4096];
    size_t in_at;
    size_t in_end;
    uint8_t out[256];
    size_t out_end;
    uint8_t has_ended; /* standard input has */
    uint32_t started_us;
} stdio_line;

static void flush_out(stdio_line *line)
{
    size_t sent = 0;
    while (sent < line->out_end) {
        const ssize_t count = write(STDOUT_FILENO, line->out + sent, line->out_end - sent);
        if (count >= 0)
            sent += (size_t)count;
        else if (errno != EINTR)
            exit(EXIT_FAILURE); /* nobody reads any more */
    }
    line->out_end = 0;
}

/* Replies go out before the program may wait for more. */
static void fill_in(stdio_line *line, int timeout_ms)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    flush_out(line);
    if (line->has_ended || poll(&input, 1, timeout_ms) <= 0)
        return;
    const ssize_t count = read(STDIN_FILENO, line->in, sizeof line->in);
    if (count < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    line->in_at = 0;
    line->in_end = count > 0 ? (size_t)count : 0;
    line->has_ended = count <= 0;
}

static uint16_t peek(void *context, const uint8_t **bytes)
{
    stdio_line *line = context;
    if (line->in_at == line->in_end)
        fill_in(line, 0);
    *bytes = line->in + line->in_at;
    return (uint16_t)(line->in_end - line->in_at);
}

static void drop(void *context, uint16_t count)
{
    stdio_line *line = context;
    line->in_at += count;
}

static void put(void *context, const uint8_t *bytes, uint16_t count)
{
    stdio_line *line = context;
    for (; count; count--) {
        if (line->out_end == sizeof line->out)
            flush_out(line);
        line->out[line->out_end++] = *bytes++;
    }
}

static void set_baud(void *context, uint32_t baud)
{
    (void)context;
    (void)baud;
}

static uint32_t monotonic_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)now.tv_sec * 1000000u + (uint32_t)(now.tv_nsec / 1000);
}

static uint32_t read_micros(void *context)
{
    const stdio_line *line = context;
    return monotonic_us() - line->started_us;
}

static uint16_t no_overruns(void *context)
{
    (void)context;
    return 0;
}

static uint16_t unknown_stack(void *context)
{
    (void)context;
    return APP_UNKNOWN;
}

static uint8_t presumed_whole(void *context)
{
    (void)context;
    return 1; /* the operating system watches it */
}

static uint8_t power_on(void *context)
{
    (void)context;
    return WIRE_RESET_POWER_ON;
}

int main(void)
{
    static stdio_line line;
    static app_state app;
    static const app_port port = {
        .context = &line,
        .peek = peek,
        .drop = drop,
        .write = put,
        .set_baud = set_baud,
        .ticks = read_micros,
        .micros = read_micros,
        .overruns = no_overruns,
        .stack_free = unknown_stack,
        .is_stack_whole = presumed_whole,
        .clock_hz = 0, /* no board's */
        .tick_hz = 1000000,
        .ram_static = APP_UNKNOWN,
        .slots = SLOTS,
        .reset_cause = power_on,
        .board = "native",
    };
    line.started_us = monotonic_us();
    app_init(&app, &port);
    while (!line.has_ended || line.in_at != line.in_end) {
        if (!app_step(&app, &port))
            fill_in(&line, REST_MS);
    }
    while (app_step(&app, &port)) /* what was asked before the end is answered */
        ;
    flush_out(&line);
    return EXIT_SUCCESS;
}

#endif
