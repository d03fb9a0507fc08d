/* Replies, built in `app->reply` and sent. Internal to lib/app. */
#ifndef APP_REPLY_H
#define APP_REPLY_H

#include "app.h"

void app_reply_ready(app_state *app, uint8_t sequence, uint32_t nonce);
void app_reply_stats(app_state *app, uint8_t sequence);
void app_reply_error(app_state *app, uint8_t sequence, uint8_t code, uint16_t detail);

/* One u32: PONG's token or BAUD_SET's rate. */
void app_reply_word(app_state *app, uint8_t type, uint8_t sequence, uint32_t word);

typedef struct {
    uint8_t predicted;
    uint32_t digest;
    uint32_t ticks;
    uint32_t scores[MODEL_CLASSES];
} app_result;

void app_reply_result(app_state *app, uint8_t sequence, const app_result *result);

#endif
