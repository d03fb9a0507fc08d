/* What the Python tests cannot reach through ctypes: static functions, macros, and the size of structs. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

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

/* Runs `bytes` through a fresh decoder, at most `piece` at a time, and reports each end of a frame. */
void shim_decode(const uint8_t *bytes, size_t count, uint8_t *slot, uint16_t slot_bytes, uint16_t piece,
                 frame_seen seen)
{
    wire_decoder decoder;
    memset(&decoder, 0xA5, sizeof decoder);
    wire_decoder_init(&decoder, slot, slot_bytes);
    while (count) {
        wire_event event;
        const uint16_t used = wire_decode(&decoder, bytes, (uint16_t)(count < piece ? count : piece), &event);
        bytes += used;
        count -= used;
        if (event != WIRE_MORE)
            seen((int)event, decoder.type, decoder.sequence, decoder.payload, decoder.length);
    }
}

typedef struct {
    uint8_t *out;
    size_t count;
} sink;

static void append(void *context, const uint8_t *bytes, uint16_t count)
{
    sink *s = context;
    memcpy(s->out + s->count, bytes, count);
    s->count += count;
}

/* `out` must hold length + 8 + length / 254 + 1 bytes. Returns how many were written. */
size_t shim_encode(uint8_t type, uint8_t sequence, const uint8_t *payload, uint16_t length, uint8_t *out)
{
    uint8_t *frame = malloc(WIRE_FRAME_BYTES((size_t)length));
    sink s = {out, 0};
    frame[WIRE_FRAME_TYPE_AT] = type;
    frame[WIRE_FRAME_SEQUENCE_AT] = sequence;
    memcpy(frame + WIRE_FRAME_PAYLOAD_AT, payload, length);
    wire_encode(frame, length, append, &s);
    free(frame);
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
