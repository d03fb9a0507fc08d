#include "app_reply.h"

#include <string.h>

#include "app_net.h"
#include "wire_bytes.h"

static uint8_t *payload_of(app_state *app)
{
    return app->reply + WIRE_FRAME_PAYLOAD_AT;
}

/* Not inlined, since every reply ends here: 110 bytes of an AVR's flash. */
static void __attribute__((noinline))
send(app_state *app, const app_port *port, uint8_t type, uint8_t sequence, uint16_t length)
{
    app->reply[WIRE_FRAME_TYPE_AT] = type;
    app->reply[WIRE_FRAME_SEQUENCE_AT] = sequence;
    wire_encode(app->reply, length, port->write, port->context);
}

void app_reply_ready(app_state *app, const app_port *port, uint8_t sequence, uint32_t nonce)
{
    static const uint8_t model_hash[WIRE_MODEL_HASH_BYTES] = MODEL_HASH;
    uint8_t *out = payload_of(app);

    memset(out, 0, WIRE_READY_BYTES);
    out[WIRE_READY_PROTOCOL_AT] = WIRE_PROTOCOL_VERSION;
    out[WIRE_READY_RESET_CAUSE_AT] = port->reset_cause(port->context);
    wire_store_u32(out + WIRE_READY_NONCE_AT, nonce);
    memcpy(out + WIRE_READY_MODEL_HASH_AT, model_hash, WIRE_MODEL_HASH_BYTES);
    wire_store_u32(out + WIRE_READY_WEIGHTS_CRC_AT, app->weights_crc);
    out[WIRE_READY_HEIGHT_AT] = MODEL_HEIGHT;
    out[WIRE_READY_WIDTH_AT] = MODEL_WIDTH;
    out[WIRE_READY_CLASSES_AT] = MODEL_CLASSES;
    out[WIRE_READY_FORMAT_AT] = MODEL_FORMAT;
    out[WIRE_READY_SLOTS_AT] = port->slots;
    out[WIRE_READY_MARKS_AT] = MODEL_MARKS;
    wire_store_u32(out + WIRE_READY_CLOCK_HZ_AT, port->clock_hz);
    wire_store_u32(out + WIRE_READY_TICK_HZ_AT, port->tick_hz);
    for (uint8_t i = 0; i < WIRE_BOARD_NAME_BYTES && port->board[i]; i++)
        out[WIRE_READY_BOARD_AT + i] = (uint8_t)port->board[i];
    send(app, port, WIRE_TYPE_READY, sequence, WIRE_READY_BYTES);
}

void app_reply_result(app_state *app, const app_port *port, uint8_t sequence, uint8_t predicted, uint32_t digest,
                      uint32_t ticks)
{
    uint8_t *out = payload_of(app);
    out[WIRE_RESULT_PREDICTED_AT] = predicted;
    wire_store_u32(out + WIRE_RESULT_DIGEST_AT, digest);
    wire_store_u32(out + WIRE_RESULT_TICKS_AT, ticks);
    for (uint8_t i = 0; i < MODEL_CLASSES; i++)
        wire_store_u32(out + WIRE_RESULT_SCORES_AT + 4 * i, app_net_score(i));
#if MODEL_MARKS
    for (uint8_t i = 0; i < MODEL_MARKS; i++)
        wire_store_u32(out + WIRE_RESULT_SCORES_AT + 4 * (MODEL_CLASSES + i), app_net_mark(i));
#endif
    send(app, port, WIRE_TYPE_RESULT, sequence, APP_RESULT_BYTES);
}

#if defined(MODEL_TRACE)
void app_reply_trace_set(app_state *app, const app_port *port, uint8_t sequence)
{
    send(app, port, WIRE_TYPE_TRACE_SET, sequence, 0);
}

void app_reply_output(app_state *app, const app_port *port, uint8_t step, const uint8_t *output, uint16_t at,
                      uint16_t bytes)
{
    uint8_t *out = payload_of(app);
    const uint16_t left = (uint16_t)(bytes - at);
    memset(out, 0, WIRE_OUTPUT_BYTES);
    out[WIRE_OUTPUT_STEP_AT] = step;
    wire_store_u16(out + WIRE_OUTPUT_TOTAL_AT, bytes);
    wire_store_u16(out + WIRE_OUTPUT_AT_AT, at);
    memcpy(out + WIRE_OUTPUT_DATA_AT, output + at, left < WIRE_OUTPUT_DATA_BYTES ? left : WIRE_OUTPUT_DATA_BYTES);
    send(app, port, WIRE_TYPE_OUTPUT, app->decoder.sequence, WIRE_OUTPUT_BYTES);
}
#endif

void app_reply_stats(app_state *app, const app_port *port, uint8_t sequence)
{
    uint8_t *out = payload_of(app);
    wire_store_u32(out + WIRE_STATS_UPTIME_US_AT, port->micros(port->context));
    wire_store_u32(out + WIRE_STATS_FRAMES_AT, app->frames);
    wire_store_u16(out + WIRE_STATS_BAD_FRAMES_AT, app->bad_frames);
    wire_store_u16(out + WIRE_STATS_OVERRUNS_AT, port->overruns(port->context));
    wire_store_u16(out + WIRE_STATS_STACK_FREE_AT, port->stack_free(port->context));
    wire_store_u16(out + WIRE_STATS_RAM_STATIC_AT, port->ram_static);
    send(app, port, WIRE_TYPE_STATS_REPLY, sequence, WIRE_STATS_BYTES);
}

void app_reply_error(app_state *app, const app_port *port, uint8_t sequence, uint8_t code, uint16_t detail)
{
    payload_of(app)[WIRE_ERROR_CODE_AT] = code;
    wire_store_u16(payload_of(app) + WIRE_ERROR_DETAIL_AT, detail);
    send(app, port, WIRE_TYPE_ERROR, sequence, WIRE_ERROR_BYTES);
}

void app_reply_word(app_state *app, const app_port *port, uint8_t type, uint8_t sequence, uint32_t word)
{
    wire_store_u32(payload_of(app), word);
    send(app, port, type, sequence, sizeof word);
}
