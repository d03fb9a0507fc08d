#include "app.h"

#include <stddef.h>

#include "app_net.h"
#include "app_reply.h"
#include "wire_bytes.h"
#include "wire_crc.h"

#define READY_PERIOD_US (WIRE_READY_PERIOD_MS * 1000UL)
#define BAUD_TRIAL_US   (WIRE_BAUD_TRIAL_MS * 1000UL)
#define NO_SUCH_REQUEST 0xFFFFu

static uint32_t now_us(const app_state *app)
{
    return app->port->micros(app->port->context);
}

static app_slot *slot_behind_waiting(app_state *app)
{
    return &app->slots[(app->first + app->waiting) % APP_SLOTS];
}

static void lend_slot(app_state *app)
{
    app->decoder.slot = app->waiting < APP_SLOTS ? slot_behind_waiting(app)->pixels : NULL;
    app->decoder.slot_bytes = APP_IMAGE_BYTES;
}

static void forget_partial_frame(app_state *app)
{
    wire_decoder_init(&app->decoder);
    lend_slot(app);
}

static uint16_t exact_length(uint8_t type)
{
    switch (type) {
    case WIRE_TYPE_HELLO:
        return WIRE_HELLO_BYTES;
    case WIRE_TYPE_IMAGE:
        return APP_IMAGE_BYTES;
    case WIRE_TYPE_STATS:
        return 0;
    case WIRE_TYPE_PING:
        return WIRE_PING_BYTES;
    case WIRE_TYPE_SET_BAUD:
        return WIRE_BAUD_BYTES;
    default:
        return NO_SUCH_REQUEST;
    }
}

static void answer_hello(app_state *app)
{
    const wire_decoder *request = &app->decoder;
    const uint8_t protocol = request->payload[WIRE_HELLO_PROTOCOL_AT];
    if (protocol != WIRE_PROTOCOL_VERSION) {
        app_reply_error(app, request->sequence, WIRE_ERROR_BAD_VERSION, protocol);
        return;
    }
    app->is_greeted = 1;
    /* Anew each time: flash that has gone bad since the reset must show. */
    app->weights_crc = app_net_weights_crc();
    app_reply_ready(app, request->sequence, wire_load_u32(request->payload + WIRE_HELLO_NONCE_AT));
}

static void queue_image(app_state *app)
{
    if (app->decoder.payload == NULL) {
        app_reply_error(app, app->decoder.sequence, WIRE_ERROR_NO_SLOT, APP_SLOTS);
        return;
    }
    slot_behind_waiting(app)->sequence = app->decoder.sequence;
    app->waiting++;
    lend_slot(app);
}

static void answer_set_baud(app_state *app)
{
    const app_port *port = app->port;
    const uint8_t sequence = app->decoder.sequence;
    const uint32_t baud = wire_load_u32(app->decoder.payload + WIRE_BAUD_BAUD_AT);
    if (!WIRE_IS_BAUD_RATE(baud)) {
        app_reply_error(app, sequence, WIRE_ERROR_BAD_BAUD, (uint16_t)(baud / 100 > 0xFFFFu ? 0xFFFFu : baud / 100));
        return;
    }
    app_reply_word(app, WIRE_TYPE_BAUD_SET, sequence, baud);
    port->set_baud(port->context, baud);
    app->is_trying_baud = 1;
    app->baud_tried_at_us = now_us(app);
}

static void handle_frame(app_state *app)
{
    const wire_decoder *request = &app->decoder;
    const uint16_t length = exact_length(request->type);
    app->frames++;
    app->is_trying_baud = 0;
    if (length == NO_SUCH_REQUEST) {
        app_reply_error(app, request->sequence, WIRE_ERROR_UNKNOWN_TYPE, request->type);
        return;
    }
    if (length != request->length) {
        app_reply_error(app, request->sequence, WIRE_ERROR_BAD_LENGTH, request->length);
        return;
    }
    switch (request->type) {
    case WIRE_TYPE_HELLO:
        answer_hello(app);
        break;
    case WIRE_TYPE_IMAGE:
        queue_image(app);
        break;
    case WIRE_TYPE_STATS:
        app_reply_stats(app, request->sequence);
        break;
    case WIRE_TYPE_PING:
        app_reply_word(app, WIRE_TYPE_PONG, request->sequence, wire_load_u32(request->payload));
        break;
    case WIRE_TYPE_SET_BAUD:
        answer_set_baud(app);
        break;
    }
}

static void refuse_broken_frame(app_state *app)
{
    if (app->bad_frames != 0xFFFFu)
        app->bad_frames++;
    app_reply_error(app, 0, WIRE_ERROR_BAD_FRAME, 0);
}

/* Needs nothing that inference uses, so it may also be called from within one, between rows. Returns the number of
 * bytes taken, at most 255. */
static uint8_t receive(app_state *app)
{
    uint8_t taken = 0;
    int16_t byte;
    while (taken < 0xFF && (byte = app->port->read(app->port->context)) >= 0) {
        const wire_event event = wire_decode(&app->decoder, (uint8_t)byte);
        taken++;
        if (event == WIRE_FRAME)
            handle_frame(app);
        else if (event == WIRE_BROKEN)
            refuse_broken_frame(app);
    }
    return taken;
}

static void keep_time(app_state *app)
{
    const uint32_t now = now_us(app);
    if (app->is_trying_baud && now - app->baud_tried_at_us >= BAUD_TRIAL_US) {
        app->is_trying_baud = 0;
        app->port->set_baud(app->port->context, WIRE_DEFAULT_BAUD);
        forget_partial_frame(app);
    }
    if (!app->is_greeted && now - app->ready_at_us >= READY_PERIOD_US) {
        app->ready_at_us = now;
        app_reply_ready(app, 0, 0);
    }
}

static void classify_first(app_state *app)
{
    const app_port *port = app->port;
    const app_slot *slot = &app->slots[app->first];
    app_result result;

    const uint32_t start = port->ticks(port->context);
    result.predicted = app_net_infer(slot->pixels, result.scores);
    result.ticks = port->ticks(port->context) - start;
    /* After the inference, so that it also covers what the inference may have done to the image. */
    result.digest = wire_crc(slot->pixels, APP_IMAGE_BYTES);
    app_reply_result(app, slot->sequence, &result);

    app->first = (uint8_t)((app->first + 1) % APP_SLOTS);
    app->waiting--;
    lend_slot(app);
}

void app_init(app_state *app, const app_port *port)
{
    app->port = port;
    app->first = 0;
    app->waiting = 0;
    app->is_greeted = 0;
    app->is_trying_baud = 0;
    app->bad_frames = 0;
    app->frames = 0;
    app->weights_crc = app_net_weights_crc();
    forget_partial_frame(app);
    /* Ends whatever frame the reset cut short, so that the other side does not lose the first READY with it. */
    port->write(port->context, WIRE_DELIMITER);
    app->ready_at_us = now_us(app) - (uint32_t)READY_PERIOD_US; /* the first READY is due at once */
}

uint8_t app_step(app_state *app)
{
    const uint8_t taken = receive(app);
    keep_time(app);
    if (app->waiting == 0)
        return taken != 0;
    classify_first(app);
    return 1;
}
