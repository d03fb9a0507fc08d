/* Replies, built in `app->reply` and sent. Internal to lib/app. */
#ifndef APP_REPLY_H
#define APP_REPLY_H

#include "app.h"

void app_reply_ready(app_state *app, const app_port *port, uint8_t sequence, uint32_t nonce);
void app_reply_stats(app_state *app, const app_port *port, uint8_t sequence);
void app_reply_error(app_state *app, const app_port *port, uint8_t sequence, uint8_t code, uint16_t detail);

/* One u32: PONG's token or BAUD_SET's rate. */
void app_reply_word(app_state *app, const app_port *port, uint8_t type, uint8_t sequence, uint32_t word);

#if defined(MODEL_TRACE)
void app_reply_trace_set(app_state *app, const app_port *port, uint8_t sequence);

/* From byte `at` on of the `bytes` that a step of the inference under way has put out. */
void app_reply_output(app_state *app, const app_port *port, uint8_t step, const uint8_t *output, uint16_t at,
                      uint16_t bytes);
#endif

/* With the scores of the last inference, and its marks. */
void app_reply_result(app_state *app, const app_port *port, uint8_t sequence, uint8_t predicted, uint32_t digest,
                      uint32_t ticks);

#endif
