/* A whole board in process for the sweeps: the application on a port of two buffers and a clock that the test moves.
 * Nothing here can lose a byte: what the line does is the test's business. */
#include <string.h>

#include "app.h"

#define OUT_BYTES 65536u

static app_state app;
static struct {
    const uint8_t *in;
    uint16_t left;
    uint8_t out[OUT_BYTES];
    uint32_t out_count;
    uint32_t now_us;
    uint32_t baud;
} board;

static uint16_t peek(void *context, const uint8_t **bytes)
{
    (void)context;
    *bytes = board.in;
    return board.left;
}

static void drop(void *context, uint16_t count)
{
    (void)context;
    board.in += count;
    board.left = (uint16_t)(board.left - count);
}

static void put(void *context, const uint8_t *bytes, uint16_t count)
{
    (void)context;
    if (board.out_count + count <= OUT_BYTES) {
        memcpy(board.out + board.out_count, bytes, count);
        board.out_count += count;
    }
}

static void set_baud(void *context, uint32_t baud)
{
    (void)context;
    board.baud = baud;
}

static uint32_t now(void *context)
{
    (void)context;
    return board.now_us;
}

static uint16_t unknown(void *context)
{
    (void)context;
    return APP_UNKNOWN;
}

static uint16_t none(void *context)
{
    (void)context;
    return 0;
}

static uint8_t whole(void *context)
{
    (void)context;
    return 1;
}

static uint8_t external(void *context)
{
    (void)context;
    return WIRE_RESET_EXTERNAL;
}

static app_port port = {
    .peek = peek,
    .drop = drop,
    .write = put,
    .set_baud = set_baud,
    .ticks = now,
    .micros = now,
    .overruns = none,
    .stack_free = unknown,
    .is_stack_whole = whole,
    .reset_cause = external,
    .clock_hz = 16000000,
    .tick_hz = 1000000,
    .ram_static = APP_UNKNOWN,
    .board = "in-process",
};

/* As after power-on or a press of the button. */
void link_board_reset(uint8_t slots)
{
    board.left = 0;
    board.baud = WIRE_DEFAULT_BAUD;
    port.slots = slots;
    memset(&app, 0xA5, sizeof app);
    app_init(&app, &port);
}

/* Takes `count` bytes at the time `now_us`, and does what is due. Returns how many bytes it has said since the last
 * call, which `link_board_said` points at. */
uint32_t link_board_run(const uint8_t *bytes, uint16_t count, uint32_t now_us)
{
    board.in = bytes;
    board.left = count;
    board.now_us = now_us;
    while (app_step(&app, &port))
        ;
    const uint32_t said = board.out_count;
    board.out_count = 0;
    return said;
}

const uint8_t *link_board_said(void)
{
    return board.out;
}

uint32_t link_board_baud(void)
{
    return board.baud;
}
