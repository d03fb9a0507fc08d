/* Pools of float32 maps that no convolution has taken into its own pass. */
#include "nn.h"

static float window_max(const nn_pool *layer, const float *in)
{
    float largest = *in;
    for (uint8_t dy = layer->size; dy; dy--) {
        const float *at = in;
        for (uint8_t dx = layer->size_width; dx; dx--) {
            if (*at > largest)
                largest = *at;
            at += layer->channels;
        }
        in += (uint16_t)(layer->width * layer->channels);
    }
    return largest;
}

static float window_mean(const nn_pool *layer, const float *in)
{
    float sum = 0.0f;
    for (uint8_t dy = layer->size; dy; dy--) {
        const float *at = in;
        for (uint8_t dx = layer->size_width; dx; dx--) {
            sum += *at;
            at += layer->channels;
        }
        in += (uint16_t)(layer->width * layer->channels);
    }
    return sum / (float)(uint16_t)(layer->size * layer->size_width);
}

static inline __attribute__((always_inline)) void pool(const nn_pool *stage, const float *in, float *out,
                                                       float (*reduce)(const nn_pool *layer, const float *in))
{
    nn_pool layer;
    nn_rom_copy(&layer, stage, sizeof layer);
    const uint16_t in_pitch = (uint16_t)(layer.width * layer.channels);
    const uint16_t out_pitch = (uint16_t)(layer.out_width * layer.channels);
    for (uint8_t i = 0; i < layer.out_height; i++) {
        const uint8_t y = layer.backward ? (uint8_t)(layer.out_height - 1 - i) : i;
        const float *at = in + (uint16_t)((uint16_t)(y * layer.stride) * in_pitch);
        float *to = out + (uint16_t)(y * out_pitch);
        for (uint8_t x = layer.out_width; x; x--) {
            for (uint8_t channel = layer.channels; channel; channel--)
                *to++ = reduce(&layer, at++);
            at += (uint16_t)((layer.stride_width - 1) * layer.channels);
        }
    }
}

void nn_pool_f32_max(const nn_pool *stage, const float *in, float *out)
{
    pool(stage, in, out, window_max);
}

void nn_pool_f32_average(const nn_pool *stage, const float *in, float *out)
{
    pool(stage, in, out, window_mean);
}
