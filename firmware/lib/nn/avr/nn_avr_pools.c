/* What nn_pool.c does, all channels of a window at once. */
#ifdef __AVR__ /* PlatformIO hands every board all of lib/nn. */
#include "nn_avr.h"

static void pool(const nn_pool *stage, const uint8_t *in, uint8_t *out,
                 void (*reduce)(const uint8_t *in, const nn_avr_window *window, uint8_t *out))
{
    nn_pool layer;
    nn_rom_copy(&layer, stage, sizeof layer);
    const uint8_t stride = layer.stride ? layer.stride : layer.size;
    const uint16_t in_pitch = (uint16_t)(layer.width * layer.channels);
    const uint16_t out_pitch = (uint16_t)(layer.out_width * layer.channels);
    const uint16_t step = (uint16_t)(stride * layer.channels);
    const nn_avr_window window = {layer.channels, layer.size,
                                  (uint16_t)(in_pitch - (uint16_t)(layer.size * layer.channels))};
    for (uint8_t i = 0; i < layer.out_height; i++) {
        const uint8_t y = layer.backward ? (uint8_t)(layer.out_height - 1 - i) : i;
        const uint8_t *at = in + (uint16_t)((uint16_t)(y * stride) * in_pitch);
        uint8_t *to = out + (uint16_t)(y * out_pitch);
        for (uint8_t x = layer.out_width; x; x--) {
            reduce(at, &window, to);
            at += step;
            to += layer.channels;
        }
    }
}

void nn_avr_pool_max(const nn_pool *stage, const uint8_t *in, uint8_t *out)
{
    pool(stage, in, out, nn_avr_window_max);
}

void nn_avr_pool_average(const nn_pool *stage, const uint8_t *in, uint8_t *out)
{
    pool(stage, in, out, nn_avr_window_mean);
}

#endif
