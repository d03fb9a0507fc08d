/* Pools that no convolution has taken into its own pass. */
#include "nn.h"

static uint8_t window_max(const nn_pool *layer, const uint8_t *in)
{
    uint8_t largest = 0;
    for (uint8_t dy = layer->size; dy; dy--) {
        const uint8_t *at = in;
        for (uint8_t dx = layer->size_width; dx; dx--) {
            if (*at > largest)
                largest = *at;
            at += layer->channels;
        }
        in += (uint16_t)(layer->width * layer->channels);
    }
    return largest;
}

static inline __attribute__((always_inline)) uint16_t window_sum(const nn_pool *layer, const uint8_t *in, uint16_t sum)
{
    for (uint8_t dy = layer->size; dy; dy--) {
        const uint8_t *at = in;
        for (uint8_t dx = layer->size_width; dx; dx--) {
            sum = (uint16_t)(sum + *at);
            at += layer->channels;
        }
        in += (uint16_t)(layer->width * layer->channels);
    }
    return sum;
}

static uint8_t window_mean(const nn_pool *layer, const uint8_t *in)
{
    const uint16_t count = (uint16_t)(layer->size * layer->size_width);
    return (uint8_t)(window_sum(layer, in, count / 2) / count); /* NOLINT(clang-analyzer-core.*): no size is 0 */
}

static uint8_t window_mean_signed(const nn_pool *layer, const uint8_t *in)
{
    const uint16_t count = (uint16_t)(layer->size * layer->size_width);
    const uint16_t sum = window_sum(layer, in, 0);
    const uint16_t half = (uint16_t)((sum > (uint16_t)(count * 128u) ? count : count - 1u) / 2u);
    return (uint8_t)((uint16_t)(sum + half) / count); /* NOLINT(clang-analyzer-core.*): no size is 0 */
}

static inline __attribute__((always_inline)) void pool(const nn_pool *stage, const uint8_t *in, uint8_t *out,
                                                       uint8_t (*reduce)(const nn_pool *layer, const uint8_t *in))
{
    nn_pool layer;
    nn_rom_copy(&layer, stage, sizeof layer);
    if (!layer.stride)
        layer.stride = layer.size;
    if (!layer.size_width) {
        layer.size_width = layer.size;
        layer.stride_width = layer.stride;
    }
    const uint16_t in_pitch = (uint16_t)(layer.width * layer.channels);
    const uint16_t out_pitch = (uint16_t)(layer.out_width * layer.channels);
    for (uint8_t i = 0; i < layer.out_height; i++) {
        const uint8_t y = layer.backward ? (uint8_t)(layer.out_height - 1 - i) : i;
        const uint8_t *at = in + (uint16_t)((uint16_t)(y * layer.stride) * in_pitch);
        uint8_t *to = out + (uint16_t)(y * out_pitch);
        for (uint8_t x = layer.out_width; x; x--) {
            for (uint8_t channel = layer.channels; channel; channel--)
                *to++ = reduce(&layer, at++);
            at += (uint16_t)((layer.stride_width - 1) * layer.channels);
        }
    }
}

void nn_pool_max(const nn_pool *stage, const uint8_t *in, uint8_t *out)
{
    pool(stage, in, out, window_max);
}

void nn_pool_average(const nn_pool *stage, const uint8_t *in, uint8_t *out)
{
    pool(stage, in, out, window_mean);
}

void nn_pool_average_signed(const nn_pool *stage, const uint8_t *in, uint8_t *out)
{
    pool(stage, in, out, window_mean_signed);
}
