#include "app_net.h"

#include <stddef.h>

#include "app_reply.h"
#include "wire_crc.h"

#if MODEL_MARKS
static struct {
    const app_port *port;
    uint32_t at;   /* the clock at the last mark */
    uint32_t cost; /* ticks from one mark to the next with nothing in between */
    uint32_t ticks[MODEL_MARKS];
} profile;

/* Not inlined, so that every mark costs the same as the two by which app_net_init measures it. */
static void __attribute__((noinline)) mark(uint8_t step)
{
    const uint32_t now = profile.port->ticks(profile.port->context);
    const uint32_t ticks = now - profile.at;
    profile.ticks[step] = ticks > profile.cost ? ticks - profile.cost : 0;
    profile.at = now;
}
#define NN_MARK(step) mark(step)
#endif

#if defined(MODEL_TRACE)
/* Whose line the outputs go to; none while nobody asks for them. */
static struct {
    app_state *app;
    const app_port *port;
} trace;

/* Nets of one step have no use for it. */
static void __attribute__((noinline, unused)) send_output(uint8_t step, const uint8_t *output, uint16_t bytes)
{
    if (!trace.app)
        return;
    for (uint16_t at = 0; at < bytes; at = (uint16_t)(at + WIRE_OUTPUT_DATA_BYTES))
        app_reply_output(trace.app, trace.port, step, output, at, bytes);
}
#define NN_OUTPUT(step, at, bytes) send_output(step, at, bytes)
#endif

#include "model_net.h"

#if MODEL_NET_EXPORT != MODEL_EXPORT
#error "model_net.h and model.h are of two exports: run `host export` again"
#endif

#if !defined(MODEL_ROM_BYTES)
#define MODEL_ROM_BYTES sizeof model_rom
#endif
#if !defined(MODEL_DESCRIPTIONS)
#define MODEL_DESCRIPTIONS 0 /* what models have whose CRC is over model_rom alone */
#endif

/* A union, so that the rendered code may keep 16 and 32-bit values in it on machines that care for alignment. */
static union {
    uint8_t bytes[MODEL_ARENA_BYTES];
    uint32_t alignment;
} arena;

static union {
    int32_t integers[MODEL_CLASSES];
    float floats[MODEL_CLASSES];
    uint32_t words[MODEL_CLASSES];
} scores;

void app_net_init(const app_port *port)
{
#if MODEL_MARKS
    profile.port = port;
    profile.cost = 0;
    mark(0);
    mark(0);
    profile.cost = profile.ticks[0];
#else
    (void)port;
#endif
}

#if defined(MODEL_IMAGE_AT)
uint8_t *app_net_image(void)
{
    return arena.bytes + MODEL_IMAGE_AT;
}
#endif

uint8_t app_net_infer(const uint8_t *image)
{
#if MODEL_MARKS
    mark(0);
#endif
    return model_infer(image, arena.bytes, &scores);
}

#if defined(MODEL_TRACE)
uint8_t app_net_trace(app_state *app, const app_port *port, const uint8_t *image)
{
    trace.port = port;
    trace.app = app->is_tracing ? app : NULL;
    app->is_tracing = 0;
    return app_net_infer(image);
}
#endif

uint32_t app_net_score(uint8_t class_index)
{
    return scores.words[class_index];
}

uint32_t app_net_mark(uint8_t step)
{
#if MODEL_MARKS
    return profile.ticks[step];
#else
    (void)step;
    return 0;
#endif
}

uint32_t app_net_marking_ticks(void)
{
#if MODEL_MARKS
    return profile.cost * (MODEL_MARKS + 1u);
#else
    return 0;
#endif
}

/* Not inlined, since it is called from two places: flash. */
static uint32_t __attribute__((noinline)) add_flash(uint32_t crc, nn_far at, uint32_t count)
{
    for (; count; count--) {
        const uint8_t byte = nn_far_u8(at++);
        crc = wire_crc_add(crc, &byte, 1);
    }
    return crc;
}

uint32_t app_net_weights_crc(void)
{
    uint32_t crc = add_flash(WIRE_CRC_INIT, NN_FAR(model_rom), MODEL_ROM_BYTES);
#if MODEL_DESCRIPTIONS
    for (uint8_t i = 0; i < MODEL_DESCRIPTIONS; i++) {
        nn_description stage;
        nn_rom_copy(&stage, &model_descriptions[i], sizeof stage);
        crc = add_flash(crc, NN_NEAR(stage.at), stage.bytes);
    }
#endif
    return ~crc;
}
