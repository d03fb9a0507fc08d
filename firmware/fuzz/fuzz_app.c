/* The whole application on a port of its own: requests sound and broken, noise, resets, waits, a stack that overflows.
 * Each reply must be the one that docs/protocol.md asks for: one for each frame, in order, and unasked READY alone. */
#include <string.h>

#include "app.h"
#include "fuzz_board.h"
#include "fuzz_oracle.h"
#include "wire_bytes.h"

#define OTHER_LENGTH 0xFFFFu

static app_state app;

/* What the oracle knows of the application. */
static struct {
    fuzz_splitter heard; /* by the board */
    fuzz_splitter told;  /* by it */
    uint8_t is_greeted;
    uint8_t is_trying;
    uint32_t quiet_ms; /* since the last thing that READY or the trial's end may wait for */
    uint8_t is_first;  /* no step since the reset */
} oracle;

/* The next frame that the board said, at *at and on; 0 where it has said no more. Whatever it says must be sound. */
static uint8_t next_said(size_t *at)
{
    while (*at < fuzz_board.said_count) {
        fuzz_end end;
        *at += fuzz_split(&oracle.told, fuzz_board.said + *at, fuzz_board.said_count - *at, &end);
        FUZZ_CHECK(end != FUZZ_BROKEN);
        if (end == FUZZ_FRAME)
            return 1;
    }
    FUZZ_CHECK(oracle.told.raw_count == 0);
    return 0;
}

static void expect(size_t *at, uint8_t type, uint8_t sequence, size_t length)
{
    FUZZ_CHECK(next_said(at));
    FUZZ_CHECK(oracle.told.type == type && oracle.told.sequence == sequence && oracle.told.length == length);
}

static void expect_error(size_t *at, uint8_t sequence, uint8_t code, uint32_t detail)
{
    expect(at, WIRE_TYPE_ERROR, sequence, WIRE_ERROR_BYTES);
    const uint8_t *payload = oracle.told.payload;
    FUZZ_CHECK(payload[0] == code && payload[1] == (uint8_t)detail && payload[2] == (uint8_t)(detail >> 8));
}

static void expect_result(size_t *at)
{
    const fuzz_splitter *image = &oracle.heard;
    if (!fuzz_board.is_whole) {
        expect_error(at, image->sequence, WIRE_ERROR_STACK_OVERFLOW, 0);
        return;
    }
    expect(at, WIRE_TYPE_RESULT, image->sequence, APP_RESULT_BYTES);
    FUZZ_CHECK(oracle.told.payload[WIRE_RESULT_PREDICTED_AT] < MODEL_CLASSES);
    FUZZ_CHECK(wire_load_u32(oracle.told.payload + WIRE_RESULT_DIGEST_AT) == fuzz_crc(image->payload, image->length));
}

static void expect_ready(size_t *at, uint8_t sequence, uint32_t nonce)
{
    expect(at, WIRE_TYPE_READY, sequence, WIRE_READY_BYTES);
    FUZZ_CHECK(wire_load_u32(oracle.told.payload + WIRE_READY_NONCE_AT) == nonce);
    FUZZ_CHECK(oracle.told.payload[WIRE_READY_RESET_CAUSE_AT] == fuzz_board.cause);
}

static size_t length_of(uint8_t type)
{
    switch (type) {
    case WIRE_TYPE_HELLO:
        return WIRE_HELLO_BYTES;
    case WIRE_TYPE_IMAGE:
        return APP_IMAGE_BYTES;
    case WIRE_TYPE_STATS:
        return 0;
    case WIRE_TYPE_PING:
    case WIRE_TYPE_SET_BAUD:
        return 4;
    default:
        return OTHER_LENGTH;
    }
}

static void expect_baud_set(size_t *at)
{
    const fuzz_splitter *request = &oracle.heard;
    const uint32_t baud = wire_load_u32(request->payload);
    if (!WIRE_IS_BAUD_RATE(baud)) {
        expect_error(at, request->sequence, WIRE_ERROR_BAD_BAUD, baud >> 8);
        return;
    }
    expect(at, WIRE_TYPE_BAUD_SET, request->sequence, 4);
    FUZZ_CHECK(wire_load_u32(oracle.told.payload) == baud && fuzz_board.baud == baud);
    oracle.is_trying = 1;
    oracle.quiet_ms = 0;
}

static void expect_greeting(size_t *at)
{
    const fuzz_splitter *hello = &oracle.heard;
    if (hello->payload[0] != WIRE_PROTOCOL_VERSION) {
        expect_error(at, hello->sequence, WIRE_ERROR_BAD_VERSION, hello->payload[0]);
        return;
    }
    oracle.is_greeted = 1;
    expect_ready(at, hello->sequence, wire_load_u32(hello->payload + 1));
}

static void expect_answer(size_t *at)
{
    const fuzz_splitter *request = &oracle.heard;
    const size_t length = length_of(request->type);
    oracle.is_trying = 0;
    if (length == OTHER_LENGTH)
        expect_error(at, request->sequence, WIRE_ERROR_UNKNOWN_TYPE, request->type);
    else if (length != request->length)
        expect_error(at, request->sequence, WIRE_ERROR_BAD_LENGTH, (uint32_t)request->length);
    else if (request->type == WIRE_TYPE_HELLO)
        expect_greeting(at);
    else if (request->type == WIRE_TYPE_IMAGE)
        expect_result(at);
    else if (request->type == WIRE_TYPE_STATS)
        expect(at, WIRE_TYPE_STATS_REPLY, request->sequence, WIRE_STATS_BYTES);
    else if (request->type == WIRE_TYPE_SET_BAUD)
        expect_baud_set(at);
    else {
        expect(at, WIRE_TYPE_PONG, request->sequence, 4);
        FUZZ_CHECK(memcmp(oracle.told.payload, request->payload, 4) == 0);
    }
}

/* READY, if it is due, or the end of a trial. */
static void expect_what_is_due(size_t *at)
{
    if (oracle.is_trying) {
        if (oracle.quiet_ms > WIRE_BAUD_TRIAL_MS) {
            oracle.is_trying = 0;
            oracle.quiet_ms = 0;
            oracle.heard.raw_count = 0;
            FUZZ_CHECK(fuzz_board.baud == WIRE_DEFAULT_BAUD);
        }
    } else if (!oracle.is_greeted && (oracle.is_first || oracle.quiet_ms > WIRE_READY_PERIOD_MS)) {
        expect_ready(at, 0, 0);
        oracle.quiet_ms = 0;
    }
    oracle.is_first = 0;
}

/* One step, and what it must say. */
static void step(void)
{
    const uint8_t *bytes = fuzz_board.room + FUZZ_PIECE - fuzz_board.left;
    const uint16_t before = fuzz_board.left;
    size_t at = 0;
    app_step(&app, &fuzz_port);
    fuzz_end end;
    FUZZ_CHECK(fuzz_split(&oracle.heard, bytes, before, &end) == (size_t)(before - fuzz_board.left));
    if (end == FUZZ_FRAME)
        expect_answer(&at);
    else if (end == FUZZ_BROKEN)
        expect_error(&at, 0, WIRE_ERROR_BAD_FRAME, 0);
    expect_what_is_due(&at);
    FUZZ_CHECK(!next_said(&at));
    fuzz_board.said_count = 0;
}

static void reset(uint8_t why)
{
    memset(&app, 0xA5, sizeof app);
    fuzz_board.left = 0;
    fuzz_board.said_count = 0;
    fuzz_board.baud = WIRE_DEFAULT_BAUD;
    fuzz_board.is_whole = 1;
    fuzz_board.cause = why;
    oracle.heard.raw_count = oracle.told.raw_count = 0;
    oracle.is_greeted = oracle.is_trying = 0;
    oracle.quiet_ms = 0;
    oracle.is_first = 1;
    app_init(&app, &fuzz_port);
    FUZZ_CHECK(fuzz_board.said_count == 1 && fuzz_board.said[0] == WIRE_DELIMITER);
    fuzz_board.said_count = 0;
    step();
}

static void pass(uint32_t milliseconds)
{
    /* The application counts steps of 1.024 ms: with multiples of 8 ms nothing is due on the verge of one. */
    while (milliseconds) {
        const uint32_t now = milliseconds < 200 ? milliseconds : 200;
        fuzz_board.now_us += 1000 * now;
        oracle.quiet_ms += now;
        milliseconds -= now;
        step();
    }
}

static void say(const fuzz_event *event)
{
    for (size_t at = 0; at < event->count; at += FUZZ_PIECE) {
        const size_t left = event->count - at;
        fuzz_board.left = (uint16_t)(left < FUZZ_PIECE ? left : FUZZ_PIECE);
        memcpy(fuzz_board.room + FUZZ_PIECE - fuzz_board.left, event->bytes + at, fuzz_board.left);
        while (fuzz_board.left)
            step();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static fuzz_event event;
    fuzz_input input = {data, data + size, 0};
    fuzz_board.now_us = size ? (uint32_t)data[0] << 24 : 0; /* so that the clock wraps in some runs */
    reset(WIRE_RESET_POWER_ON);
    for (;;) {
        fuzz_next(&input, &event);
        switch (event.kind) {
        case FUZZ_BYTES:
            say(&event);
            break;
        case FUZZ_TIME:
            pass(8u * event.value);
            break;
        case FUZZ_RESET:
            reset(event.value);
            break;
        case FUZZ_STACK:
            fuzz_board.is_whole = event.value < 128;
            break;
        case FUZZ_OVER:
            return 0;
        }
    }
}
