/* The application: requests in, inference, replies out, as host/link/wire.py specifies. It knows a port and no board,
 * and allocates nothing.
 *
 *     static app_state app;
 *     app_init(&app, &port);
 *     for (;;)
 *         if (!app_step(&app, &port))
 *             sleep_until_a_byte_or_some_milliseconds();
 *
 * One image at a time is unstuffed and classified. What comes meanwhile waits in the port as it came: the second slot
 * of a board is room for one more whole frame in the port's receive buffer (APP_FRAME_BYTES), so that the line is never
 * idle however long an inference takes, and no kernel has to look after the line. */
#ifndef APP_H
#define APP_H

#include <stdint.h>

#include "model.h"
#include "wire_decode.h"
#include "wire_encode.h"

#ifdef __cplusplus
extern "C" {
#endif

#if !defined(MODEL_CHANNELS)
#define MODEL_CHANNELS 1 /* what models have that were rendered before there were more */
#endif
#define APP_IMAGE_BYTES (MODEL_HEIGHT * MODEL_WIDTH * MODEL_CHANNELS)
/* Beside the arena; some models keep the image in there, and overwrite it as they use it up. */
#if defined(MODEL_IMAGE_AT)
#define APP_SLOT_BYTES 0
#else
#define APP_SLOT_BYTES APP_IMAGE_BYTES
#endif
/* One IMAGE on the line, at most. */
#define APP_FRAME_BYTES  WIRE_LINE_BYTES(APP_IMAGE_BYTES)
#define APP_RESULT_BYTES WIRE_RESULT_BYTES(MODEL_CLASSES, MODEL_MARKS)
#define APP_REPLY_BYTES  (APP_RESULT_BYTES > WIRE_READY_BYTES ? APP_RESULT_BYTES : WIRE_READY_BYTES)

#define APP_UNKNOWN 0xFFFFu /* bytes that the board cannot tell */

/* What the application needs of a board. Both clocks run freely and wrap at 2^32. */
typedef struct {
    void *context;
    /* The bytes that have come: how many lie at *bytes, in one piece. They stay there until dropped. */
    uint16_t (*peek)(void *context, const uint8_t **bytes);
    void (*drop)(void *context, uint16_t count);
    /* Waits for room, loses nothing; the bytes may change once it has returned. */
    void (*write)(void *context, const uint8_t *bytes, uint16_t count);
    void (*set_baud)(void *context, uint32_t baud); /* once all written bytes have left; one of WIRE_IS_BAUD_RATE */
    uint32_t (*ticks)(void *context);               /* at tick_hz, to time inference; without interrupts, if it can */
    uint32_t (*micros)(void *context);              /* since reset */
    uint16_t (*overruns)(void *context);            /* received bytes lost since reset */
    uint16_t (*stack_free)(void *context);          /* bytes the stack has never touched, or APP_UNKNOWN */
    uint8_t (*is_stack_whole)(void *context);       /* 0 once it has run into other data, until the next reset */
    uint8_t (*reset_cause)(void *context);          /* WIRE_RESET_... */
    uint32_t clock_hz;
    uint32_t tick_hz;
    uint16_t ram_static; /* bytes, or APP_UNKNOWN */
    uint8_t slots;       /* images that may be outstanding: 1, and one more for each APP_FRAME_BYTES that wait unlost */
    const char *board;   /* at most WIRE_BOARD_NAME_BYTES characters */
} app_port;

/* Private. */
typedef struct {
    wire_decoder decoder;
    uint8_t is_greeted;     /* HELLO has come */
    uint8_t is_trying_baud; /* a new rate, not yet confirmed by a valid frame */
    uint16_t since;         /* the last READY, or the new rate; in units of 1,024 us */
    uint16_t bad_frames;
    uint32_t frames;
    uint32_t reading_ticks; /* between two readings of the clock with nothing in between */
    uint32_t weights_crc;
#if defined(MODEL_TRACE)
    uint8_t is_tracing; /* the next image's steps are sent as they end */
#endif
    uint8_t reply[WIRE_FRAME_BYTES(APP_REPLY_BYTES)];
#if !defined(MODEL_IMAGE_AT)
    uint8_t image[APP_IMAGE_BYTES];
#endif
} app_state;

/* The port is an argument each time, so that a compiler that knows it can do without the pointers in it. */
void app_init(app_state *app, const app_port *port);

/* Takes in bytes that have come, up to the end of one frame, answers it, and does what is due. Returns 0 if no byte
 * had come, so that the caller may sleep for some milliseconds or until one does. */
uint8_t app_step(app_state *app, const app_port *port);

#ifdef __cplusplus
}
#endif

#endif
