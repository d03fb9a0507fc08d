/* The rendered network behind a fixed interface: the only part of the firmware that sees the weights. */
#ifndef APP_NET_H
#define APP_NET_H

#include <stdint.h>

#include "app.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Once, before the rest. A profiling build reads the port's clock; an ordinary one has no use for it. */
void app_net_init(const app_port *port);

#if defined(MODEL_IMAGE_AT)
/* Where the image must lie for app_net_infer, which overwrites it. */
uint8_t *app_net_image(void);
#endif

/* image: MODEL_HEIGHT x MODEL_WIDTH x MODEL_CHANNELS u8. Returns the class. Not reentrant: scratch memory and scores
 * are static. */
uint8_t app_net_infer(const uint8_t *image);

#if defined(MODEL_TRACE)
/* The same, and where app->is_tracing each step's output is sent as soon as it is there, in the reply's buffer, which
 * nobody needs before the result. Clears app->is_tracing. */
uint8_t app_net_trace(app_state *app, const app_port *port, const uint8_t *image);
#endif

/* Of the last inference. A raw word per class: int32 or the bits of a float32. */
uint32_t app_net_score(uint8_t class_index);

/* CRC-32 of all weights and biases, and of what each step is told of them, as they stand in flash now. */
uint32_t app_net_weights_crc(void);

/* In a profiling build: the ticks that each step of the last inference took, and what reading the clock in between
 * adds to an inference; else 0. */
uint32_t app_net_mark(uint8_t step);
uint32_t app_net_marking_ticks(void);

#ifdef __cplusplus
}
#endif

#endif
