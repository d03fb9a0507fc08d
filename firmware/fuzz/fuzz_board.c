#include "fuzz_board.h"

#include <string.h>

#include "fuzz_oracle.h"

struct fuzz_board fuzz_board;

static uint16_t peek(void *context, const uint8_t **bytes)
{
    (void)context;
    *bytes = fuzz_board.room + FUZZ_PIECE - fuzz_board.left;
    return fuzz_board.left;
}

static void drop(void *context, uint16_t count)
{
    (void)context;
    FUZZ_CHECK(count <= fuzz_board.left);
    fuzz_board.left = (uint16_t)(fuzz_board.left - count);
}

static void put(void *context, const uint8_t *bytes, uint16_t count)
{
    (void)context;
    FUZZ_CHECK(fuzz_board.said_count + count <= FUZZ_SAID);
    memcpy(fuzz_board.said + fuzz_board.said_count, bytes, count);
    fuzz_board.said_count += count;
}

static void set_baud(void *context, uint32_t baud)
{
    (void)context;
    FUZZ_CHECK(WIRE_IS_BAUD_RATE(baud));
    fuzz_board.baud = baud;
}

static uint32_t clock_us(void *context)
{
    (void)context;
    return fuzz_board.now_us;
}

static uint16_t count_of(void *context)
{
    (void)context;
    return 7;
}

static uint8_t is_whole(void *context)
{
    (void)context;
    return fuzz_board.is_whole;
}

static uint8_t cause(void *context)
{
    (void)context;
    return fuzz_board.cause;
}

const app_port fuzz_port = {
    .peek = peek,
    .drop = drop,
    .write = put,
    .set_baud = set_baud,
    .ticks = clock_us,
    .micros = clock_us,
    .overruns = count_of,
    .stack_free = count_of,
    .is_stack_whole = is_whole,
    .reset_cause = cause,
    .clock_hz = 16000000,
    .tick_hz = 1000000,
    .ram_static = APP_UNKNOWN,
    .slots = 2,
    .board = "twelve-chars",
};
