/* Convolution, ReLU and max-pool of float32 maps, or of u8 ones for the first layer, in one pass. Each function is
 * compiled for its own types, so that none pays for the others. Builds use -ffp-contract=off: a fused multiply-add
 * would skip a rounding that the reference does. */
#include "nn_float.h"

/* One position of the kernel, for one output. */
typedef struct {
    int16_t y; /* of the kernel's upper left; may be outside */
    int16_t x;
    uint8_t first; /* channel */
} place;

static inline __attribute__((always_inline)) float add_pixel(nn_far weights, const void *in, uint16_t at, uint8_t count,
                                                             float sum, uint8_t is_half, uint8_t is_u8)
{
    for (; count; count--) {
        if (!nn_is_zero(in, at, is_u8)) {
            const float term = nn_far_weight(weights, is_half) * nn_input(in, at, is_u8);
            sum += term;
        }
        weights += nn_weight_bytes(is_half);
        at++;
    }
    return sum;
}

static inline __attribute__((always_inline)) float sum_at(const nn_conv_float *layer, nn_far row, const void *in,
                                                          place at, uint8_t is_half, uint8_t is_u8)
{
    const uint16_t pixel_bytes = (uint16_t)(layer->group_inputs * nn_weight_bytes(is_half));
    float sum = nn_far_bias(row);
    row += NN_FLOAT_BYTES;
    for (uint8_t i = 0; i < layer->kernel; i++) {
        const int16_t y = (int16_t)(at.y + i);
        for (uint8_t j = 0; j < layer->kernel_width; j++) {
            const int16_t x = (int16_t)(at.x + j);
            if (y >= 0 && y < layer->height && x >= 0 && x < layer->width) {
                const uint16_t pixel = (uint16_t)((uint16_t)y * layer->width + (uint16_t)x);
                sum = add_pixel(row, in, (uint16_t)(pixel * layer->channels + at.first), layer->group_inputs, sum,
                                is_half, is_u8);
            }
            row += pixel_bytes;
        }
    }
    return sum;
}

/* All outputs of one position, or the larger of what is there unless `is_first`. */
static inline __attribute__((always_inline)) void convolve(const nn_conv_float *layer, nn_far row, const void *in,
                                                           place at, uint8_t is_first, float *out, uint8_t is_half,
                                                           uint8_t is_u8)
{
    const uint16_t weights = (uint16_t)((uint16_t)(layer->kernel * layer->kernel_width) * layer->group_inputs);
    const uint16_t row_bytes = (uint16_t)(NN_FLOAT_BYTES + weights * nn_weight_bytes(is_half));
    uint8_t left = layer->group_outputs;
    for (uint8_t i = 0; i < layer->outputs; i++) {
        const float value = nn_rectified(sum_at(layer, row, in, at, is_half, is_u8), layer->relu);
        if (is_first || value > out[i])
            out[i] = value;
        row += row_bytes;
        if (--left == 0) {
            left = layer->group_outputs;
            at.first = (uint8_t)(at.first + layer->group_inputs);
        }
    }
}

static inline __attribute__((always_inline)) void run(const nn_conv_float *stage, nn_far numbers, const void *in,
                                                      float *out, uint8_t is_half, uint8_t is_u8)
{
    nn_conv_float layer;
    nn_rom_copy(&layer, stage, sizeof layer);
    numbers += layer.rows;
    for (uint8_t i = 0; i < layer.out_height; i++) {
        const uint8_t y = layer.backward ? (uint8_t)(layer.out_height - 1 - i) : i;
        float *to = out + (uint16_t)((uint16_t)(y * layer.out_width) * layer.outputs);
        for (uint8_t x = 0; x < layer.out_width; x++) {
            for (uint8_t dy = 0; dy < layer.pool; dy++) {
                for (uint8_t dx = 0; dx < layer.pool_width; dx++) {
                    const place at = {
                        (int16_t)((uint16_t)(y * layer.pool + dy) * layer.stride - layer.padding),
                        (int16_t)((uint16_t)(x * layer.pool_width + dx) * layer.stride_width - layer.padding_left), 0};
                    convolve(&layer, numbers, in, at, !dy && !dx, to, is_half, is_u8);
                }
            }
            to += layer.outputs;
        }
    }
}

void nn_conv_f16_u8(const nn_conv_float *stage, nn_far numbers, const uint8_t *in, float *out)
{
    run(stage, numbers, in, out, 1, 1);
}

void nn_conv_f16_f32(const nn_conv_float *stage, nn_far numbers, const float *in, float *out)
{
    run(stage, numbers, in, out, 1, 0);
}

void nn_conv_f32_u8(const nn_conv_float *stage, nn_far numbers, const uint8_t *in, float *out)
{
    run(stage, numbers, in, out, 0, 1);
}

void nn_conv_f32_f32(const nn_conv_float *stage, nn_far numbers, const float *in, float *out)
{
    run(stage, numbers, in, out, 0, 0);
}
