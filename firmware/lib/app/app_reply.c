#include "app_reply.h"

#include <string.h>

#include "wire_bytes.h"
#include "wire_encode.h"

static void send(app_state *app, uint8_t type, uint8_t sequence, uint16_t length)
{
    const wire_frame frame = {.type = type, .sequence = sequence, .length = length, .payload = app->reply};
    wire_encode(&frame, app->port->write, app->port->context);
}

void app_reply_ready(app_state *app, uint8_t sequence, uint32_t nonce)
{
    static const uint8_t model_hash[WIRE_MODEL_HASH_BYTES] = MODEL_HASH;
    const app_port *port = app->port;
    uint8_t *out = app->reply;

    memset(out, 0, WIRE_READY_BYTES);
    out[WIRE_READY_PROTOCOL_AT] = WIRE_PROTOCOL_VERSION;
    out[WIRE_READY_RESET_CAUSE_AT] = port->reset_cause;
    wire_store_u32(out + WIRE_READY_NONCE_AT, nonce);
    memcpy(out + WIRE_READY_MODEL_HASH_AT, model_hash, WIRE_MODEL_HASH_BYTES);
    wire_store_u32(out + WIRE_READY_WEIGHTS_CRC_AT, app->weights_crc);
    out[WIRE_READY_HEIGHT_AT] = MODEL_HEIGHT;
    out[WIRE_READY_WIDTH_AT] = MODEL_WIDTH;
    out[WIRE_READY_CLASSES_AT] = MODEL_CLASSES;
    out[WIRE_READY_FORMAT_AT] = MODEL_FORMAT;
    out[WIRE_READY_SLOTS_AT] = APP_SLOTS;
    wire_store_u32(out + WIRE_READY_CLOCK_HZ_AT, port->clock_hz);
    wire_store_u32(out + WIRE_READY_TICK_HZ_AT, port->tick_hz);
    for (uint8_t i = 0; i < WIRE_BOARD_NAME_BYTES && port->board[i]; i++)
        out[WIRE_READY_BOARD_AT + i] = (uint8_t)port->board[i];
    send(app, WIRE_TYPE_READY, sequence, WIRE_READY_BYTES);
}

void app_reply_result(app_state *app, uint8_t sequence, const app_result *result)
{
    uint8_t *out = app->reply;
    out[WIRE_RESULT_PREDICTED_AT] = result->predicted;
    wire_store_u32(out + WIRE_RESULT_DIGEST_AT, result->digest);
    wire_store_u32(out + WIRE_RESULT_TICKS_AT, result->ticks);
    for (uint8_t i = 0; i < MODEL_CLASSES; i++)
        wire_store_u32(out + WIRE_RESULT_SCORES_AT + 4 * i, result->scores[i]);
    send(app, WIRE_TYPE_RESULT, sequence, APP_RESULT_BYTES);
}

void app_reply_stats(app_state *app, uint8_t sequence)
{
    const app_port *port = app->port;
    uint8_t *out = app->reply;
    wire_store_u32(out + WIRE_STATS_UPTIME_US_AT, port->micros(port->context));
    wire_store_u32(out + WIRE_STATS_FRAMES_AT, app->frames);
    wire_store_u16(out + WIRE_STATS_BAD_FRAMES_AT, app->bad_frames);
    wire_store_u16(out + WIRE_STATS_OVERRUNS_AT, port->overruns(port->context));
    wire_store_u16(out + WIRE_STATS_STACK_FREE_AT, port->stack_free(port->context));
    wire_store_u16(out + WIRE_STATS_RAM_STATIC_AT, port->ram_static);
    send(app, WIRE_TYPE_STATS_REPLY, sequence, WIRE_STATS_BYTES);
}

void app_reply_error(app_state *app, uint8_t sequence, uint8_t code, uint16_t detail)
{
    app->reply[WIRE_ERROR_CODE_AT] = code;
    wire_store_u16(app->reply + WIRE_ERROR_DETAIL_AT, detail);
    send(app, WIRE_TYPE_ERROR, sequence, WIRE_ERROR_BYTES);
}

void app_reply_word(app_state *app, uint8_t type, uint8_t sequence, uint32_t word)
{
    wire_store_u32(app->reply, word);
    send(app, type, sequence, sizeof word);
}
