/* The application: requests in, inference, replies out, as host/link/wire.py specifies. It knows a port and no board,
 * and allocates nothing.
 *
 *     static app_state app;
 *     app_init(&app, &port);
 *     for (;;)
 *         if (!app_step(&app))
 *             sleep_until_a_byte_or_some_milliseconds();
 */
#ifndef APP_H
#define APP_H

#include <stdint.h>

#include "model.h"
#include "wire_decode.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Images that may be outstanding at once. */
#ifndef APP_SLOTS
#define APP_SLOTS 1
#endif

#define APP_IMAGE_BYTES  (MODEL_HEIGHT * MODEL_WIDTH)
#define APP_RESULT_BYTES WIRE_RESULT_BYTES(MODEL_CLASSES)
#define APP_REPLY_BYTES  (APP_RESULT_BYTES > WIRE_READY_BYTES ? APP_RESULT_BYTES : WIRE_READY_BYTES)

#define APP_UNKNOWN 0xFFFFu /* bytes that the board cannot tell */

/* What the application needs of a board. Both clocks run freely and wrap at 2^32. */
typedef struct {
    void *context;
    int16_t (*read)(void *context);                 /* the next byte that came, or -1 */
    void (*write)(void *context, uint8_t byte);     /* waits for room, drops nothing */
    void (*set_baud)(void *context, uint32_t baud); /* once all written bytes have left; one of WIRE_IS_BAUD_RATE */
    uint32_t (*ticks)(void *context);               /* at tick_hz, to time inference */
    uint32_t (*micros)(void *context);              /* since reset */
    uint16_t (*overruns)(void *context);            /* received bytes lost since reset */
    uint16_t (*stack_free)(void *context);          /* bytes the stack has never touched, or APP_UNKNOWN */
    uint32_t clock_hz;
    uint32_t tick_hz;
    uint16_t ram_static; /* bytes, or APP_UNKNOWN */
    uint8_t reset_cause; /* WIRE_RESET_... */
    const char *board;   /* at most WIRE_BOARD_NAME_BYTES characters */
} app_port;

typedef struct {
    uint8_t sequence;
    uint8_t pixels[APP_IMAGE_BYTES];
} app_slot;

/* Private. Slots are a ring: `waiting` complete images from `first` on; the next one is received behind them. */
typedef struct {
    const app_port *port;
    wire_decoder decoder;
    app_slot slots[APP_SLOTS];
    uint8_t first;
    uint8_t waiting;
    uint8_t is_greeted;     /* HELLO has come */
    uint8_t is_trying_baud; /* a new rate, not yet confirmed by a valid frame */
    uint16_t bad_frames;
    uint32_t frames;
    uint32_t ready_at_us;
    uint32_t baud_tried_at_us;
    uint32_t weights_crc;
    uint8_t reply[APP_REPLY_BYTES];
} app_state;

/* `port` must outlive `app`. */
void app_init(app_state *app, const app_port *port);

/* Takes in all bytes that have come, does what is due, classifies at most one image. Returns 0 if there was nothing
 * to do, so that the caller may sleep for some milliseconds or until a byte comes. */
uint8_t app_step(app_state *app);

#ifdef __cplusplus
}
#endif

#endif
