#include "app.h"

#include <string.h>

#include "app_net.h"
#include "app_reply.h"
#include "wire_bytes.h"
#include "wire_crc.h"

/* Time is kept in units of 1,024 us, rounded up: half as much code as microseconds in 32 bits. */
#define READY_PERIOD    (WIRE_READY_PERIOD_MS * 1000UL / 1024 + 1)
#define BAUD_TRIAL      (WIRE_BAUD_TRIAL_MS * 1000UL / 1024 + 1)
#define NO_SUCH_REQUEST 0xFFFFu
/* Bytes unstuffed at a time. The port has their room back before the host can have heard the last RESULT and sent the
 * next image, which finds the one before it still waiting there. */
#define PIECE_BYTES 64u

static uint16_t now(const app_port *port)
{
    return (uint16_t)(port->micros(port->context) >> 10);
}

static uint32_t now_ticks(const app_port *port)
{
    return port->ticks(port->context);
}

/* Where the next image goes, and lies when it is inferred. */
static uint8_t *image_of(app_state *app)
{
#if defined(MODEL_IMAGE_AT)
    (void)app;
    return app_net_image();
#else
    return app->image;
#endif
}

static uint32_t image_digest(app_state *app)
{
    return ~wire_crc_add(WIRE_CRC_INIT, image_of(app), APP_IMAGE_BYTES);
}

/* Not inlined, since it is called rarely and from several places: flash. */
static void __attribute__((noinline)) forget_partial_frame(app_state *app)
{
    wire_decoder_init(&app->decoder, image_of(app), APP_IMAGE_BYTES);
}

static uint16_t exact_length(uint8_t type)
{
    switch (type) {
    case WIRE_TYPE_HELLO:
        return WIRE_HELLO_BYTES;
    case WIRE_TYPE_IMAGE:
        return APP_IMAGE_BYTES;
    case WIRE_TYPE_STATS:
#if defined(MODEL_TRACE)
    case WIRE_TYPE_TRACE:
#endif
        return 0;
    case WIRE_TYPE_PING:
        return WIRE_PING_BYTES;
    case WIRE_TYPE_SET_BAUD:
        return WIRE_BAUD_BYTES;
    default:
        return NO_SUCH_REQUEST;
    }
}

static void answer_hello(app_state *app, const app_port *port)
{
    const wire_decoder *request = &app->decoder;
    const uint8_t protocol = request->payload[WIRE_HELLO_PROTOCOL_AT];
    if (protocol != WIRE_PROTOCOL_VERSION) {
        app_reply_error(app, port, request->sequence, WIRE_ERROR_BAD_VERSION, protocol);
        return;
    }
    app->is_greeted = 1;
    /* Anew each time: flash that has gone bad since the reset must show. */
    app->weights_crc = app_net_weights_crc();
    app_reply_ready(app, port, request->sequence, wire_load_u32(request->payload + WIRE_HELLO_NONCE_AT));
}

static void answer_image(app_state *app, const app_port *port)
{
#if defined(MODEL_IMAGE_AT)
    const uint32_t digest = image_digest(app); /* while it is there */
#endif
    const uint32_t start = now_ticks(port);
#if defined(MODEL_TRACE)
    const uint8_t predicted = app_net_trace(app, port, image_of(app));
#else
    const uint8_t predicted = app_net_infer(image_of(app));
#endif
    const uint32_t ticks = now_ticks(port) - start - app->reading_ticks;
#if !defined(MODEL_IMAGE_AT)
    /* After the inference, so that it also covers what the inference may have done to the image. */
    const uint32_t digest = image_digest(app);
#endif
    if (port->is_stack_whole(port->context))
        app_reply_result(app, port, app->decoder.sequence, predicted, digest, ticks);
    else
        app_reply_error(app, port, app->decoder.sequence, WIRE_ERROR_STACK_OVERFLOW, 0);
}

static void answer_set_baud(app_state *app, const app_port *port)
{
    const uint8_t sequence = app->decoder.sequence;
    const uint32_t baud = wire_load_u32(app->decoder.payload + WIRE_BAUD_BAUD_AT);
    if (!WIRE_IS_BAUD_RATE(baud)) {
        app_reply_error(app, port, sequence, WIRE_ERROR_BAD_BAUD, (uint16_t)(baud >> 8));
        return;
    }
    app_reply_word(app, port, WIRE_TYPE_BAUD_SET, sequence, baud);
    port->set_baud(port->context, baud);
    app->is_trying_baud = 1;
    app->since = now(port);
}

static void handle_frame(app_state *app, const app_port *port)
{
    const wire_decoder *request = &app->decoder;
    const uint16_t length = exact_length(request->type);
    app->frames++;
    app->is_trying_baud = 0;
    if (length == NO_SUCH_REQUEST) {
        app_reply_error(app, port, request->sequence, WIRE_ERROR_UNKNOWN_TYPE, request->type);
        return;
    }
    if (length != request->length) {
        app_reply_error(app, port, request->sequence, WIRE_ERROR_BAD_LENGTH, request->length);
        return;
    }
    switch (request->type) {
    case WIRE_TYPE_HELLO:
        answer_hello(app, port);
        break;
    case WIRE_TYPE_IMAGE:
        answer_image(app, port);
        break;
    case WIRE_TYPE_STATS:
        app_reply_stats(app, port, request->sequence);
        break;
    case WIRE_TYPE_PING:
        app_reply_word(app, port, WIRE_TYPE_PONG, request->sequence, wire_load_u32(request->payload));
        break;
#if defined(MODEL_TRACE)
    case WIRE_TYPE_TRACE:
        app->is_tracing = 1;
        app_reply_trace_set(app, port, request->sequence);
        break;
#endif
    default: /* SET_BAUD: no other has a length */
        answer_set_baud(app, port);
        break;
    }
}

static void refuse_broken_frame(app_state *app, const app_port *port)
{
    if (app->bad_frames != 0xFFFFu)
        app->bad_frames++;
    app_reply_error(app, port, 0, WIRE_ERROR_BAD_FRAME, 0);
}

static uint8_t receive(app_state *app, const app_port *port)
{
    const uint8_t *bytes;
    wire_event event;
    uint16_t count = port->peek(port->context, &bytes);
    if (count == 0)
        return 0;
    if (count > PIECE_BYTES)
        count = PIECE_BYTES;
    /* Dropped before the frame is handled, which may take long: the port needs the room meanwhile. */
    port->drop(port->context, wire_decode(&app->decoder, bytes, count, &event));
    if (event == WIRE_FRAME)
        handle_frame(app, port);
    else if (event == WIRE_BROKEN)
        refuse_broken_frame(app, port);
    return 1;
}

static void keep_time(app_state *app, const app_port *port)
{
    const uint16_t elapsed = (uint16_t)(now(port) - app->since);
    if (elapsed < (app->is_trying_baud ? (uint16_t)BAUD_TRIAL : (uint16_t)READY_PERIOD))
        return;
    app->since = now(port);
    if (app->is_trying_baud) {
        app->is_trying_baud = 0;
        port->set_baud(port->context, WIRE_DEFAULT_BAUD);
        forget_partial_frame(app);
    } else {
        app_reply_ready(app, port, 0, 0);
    }
}

void app_init(app_state *app, const app_port *port)
{
    static const uint8_t delimiter = WIRE_DELIMITER;
    memset(app, 0, sizeof *app);
    app_net_init(port);
    const uint32_t start = now_ticks(port);
    app->reading_ticks = now_ticks(port) - start + app_net_marking_ticks();
    app->weights_crc = app_net_weights_crc();
    forget_partial_frame(app);
    /* Ends whatever frame the reset cut short, so that the other side does not lose the first READY with it. */
    port->write(port->context, &delimiter, 1);
    app->since = (uint16_t)(now(port) - READY_PERIOD); /* the first READY is due at once */
}

uint8_t app_step(app_state *app, const app_port *port)
{
    const uint8_t has_received = receive(app, port);
    if (app->is_trying_baud || !app->is_greeted)
        keep_time(app, port);
    return has_received;
}
