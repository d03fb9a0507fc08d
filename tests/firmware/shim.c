/* What the Python tests cannot reach through ctypes: static functions, macros, and the size of structs. */
#include <stddef.h>

#include "app.h"
#include "wire_encode.h"

/* For its static normalise(); the public function comes from the library. */
#define nn_preconv unused_nn_preconv
#include "../../firmware/lib/nn/nn_preconv.c"
#undef nn_preconv

/* Every value under every range, against the division that the definition names. Returns how many differ. */
uint32_t shim_count_wrong_features(uint8_t levels)
{
    static uint16_t pooled[4081];
    static uint8_t features[4081];
    uint32_t wrong = 0;
    for (uint16_t range = 1; range <= 4080; range++) {
        for (uint16_t value = 0; value <= range; value++)
            pooled[value] = value;
        normalise(pooled, (uint16_t)(range + 1u), levels, features);
        for (uint16_t value = 0; value <= range; value++)
            wrong += features[value] != (uint32_t)value * levels / range;
    }
    return wrong;
}

typedef void (*frame_seen)(int event, uint8_t type, uint8_t sequence, const uint8_t *payload, uint16_t length);

/* Runs `bytes` through a fresh decoder and reports each end of a frame. `slot` may be NULL. */
void shim_decode(const uint8_t *bytes, size_t count, uint8_t *slot, uint16_t slot_bytes, frame_seen seen)
{
    wire_decoder decoder;
    wire_decoder_init(&decoder);
    decoder.slot = slot;
    decoder.slot_bytes = slot_bytes;
    for (size_t i = 0; i < count; i++) {
        const wire_event event = wire_decode(&decoder, bytes[i]);
        if (event != WIRE_MORE)
            seen(event, decoder.type, decoder.sequence, decoder.payload, decoder.length);
    }
}

typedef struct {
    uint8_t *out;
    size_t count;
} sink;

static void append(void *context, uint8_t byte)
{
    sink *s = context;
    s->out[s->count++] = byte;
}

/* `out` must hold length + 6 + length / 254 + 3 bytes. Returns how many were written. */
size_t shim_encode(uint8_t type, uint8_t sequence, const uint8_t *payload, uint16_t length, uint8_t *out)
{
    const wire_frame frame = {.type = type, .sequence = sequence, .length = length, .payload = payload};
    sink s = {out, 0};
    wire_encode(&frame, append, &s);
    return s.count;
}

size_t shim_app_bytes(void)
{
    return sizeof(app_state);
}

size_t shim_app_port_bytes(void)
{
    return sizeof(app_port);
}
