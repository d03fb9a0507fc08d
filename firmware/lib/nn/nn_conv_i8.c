/* Convolution, ReLU and max-pool of u8 maps in one pass, so that the map before the pool is never stored. Each function
 * is compiled twice, for weights of a byte and for packed ones, so that neither pays for the other. */
#include "nn.h"
#include "nn_dot.h"
#include "nn_walk.h"

#define ROW_WEIGHTS_AT 6u

static inline __attribute__((always_inline)) int32_t part_sum(const nn_conv_i8 *layer, const nn_patch *patch,
                                                              nn_far weights, uint16_t first, const uint8_t *in,
                                                              int32_t sum, uint8_t is_packed)
{
    return is_packed ? nn_packed_sum(patch, weights, first, layer->bits, in, sum)
                     : nn_patch_sum(patch, weights + first, in, sum);
}

static inline __attribute__((always_inline)) int32_t window_sum(const nn_conv_i8 *layer, const nn_window *at,
                                                                const uint8_t *in, nn_far weights, int32_t sum,
                                                                uint8_t is_packed)
{
    uint16_t first = at->skipped;
    sum = part_sum(layer, &at->patch, weights, first, in, sum, is_packed);
    for (uint8_t left = (uint8_t)(at->patches - 1); left; left--) {
        first = (uint16_t)(first + (uint16_t)(layer->kernel_width * layer->group_inputs));
        in += (uint16_t)(layer->width * layer->channels);
        sum = part_sum(layer, &at->patch, weights, first, in, sum, is_packed);
    }
    return sum;
}

static inline __attribute__((always_inline)) void convolve(const nn_conv_i8 *layer, nn_far row, const nn_window *at,
                                                           uint8_t is_first, uint8_t *out, uint8_t is_packed)
{
    const uint16_t weights = (uint16_t)((uint16_t)(layer->kernel * layer->kernel_width) * layer->group_inputs);
    const uint16_t row_bytes =
        (uint16_t)(ROW_WEIGHTS_AT + (is_packed ? nn_packed_bytes(weights, layer->bits) : weights));
    const uint8_t *in = at->in;
    uint8_t left = layer->group_outputs;
    for (uint8_t i = 0; i < layer->outputs; i++) {
        const int32_t sum = window_sum(layer, at, in, row + ROW_WEIGHTS_AT, nn_far_i32(row), is_packed);
        const uint8_t value = nn_activation(sum, nn_far_u16(row + 4), layer->shift, layer->top);
        if (is_first || value > out[i])
            out[i] = value;
        row += row_bytes;
        if (--left == 0) {
            left = layer->group_outputs;
            in += layer->group_inputs;
        }
    }
}

static void convolve_i8(const nn_conv_i8 *layer, nn_far row, const nn_window *at, uint8_t is_first, uint8_t *out)
{
    convolve(layer, row, at, is_first, out, 0);
}

static void convolve_packed(const nn_conv_i8 *layer, nn_far row, const nn_window *at, uint8_t is_first, uint8_t *out)
{
    convolve(layer, row, at, is_first, out, 1);
}

static void run(const nn_conv_i8 *stage, nn_far numbers, const uint8_t *in, uint8_t *out, nn_at_position at_position)
{
    nn_conv_i8 layer;
    nn_walk_load(&layer, stage, sizeof layer);
    nn_walk(&layer, numbers, in, out, at_position);
}

static void pair(const nn_conv_i8 *first, const nn_conv_i8 *second, nn_far numbers, const uint8_t *in, uint8_t *between,
                 uint8_t *out, nn_at_position at_position)
{
    const nn_pair stages = {first, second, sizeof(nn_conv_i8)};
    nn_conv_i8 layer;
    nn_walk_pair(&stages, &layer, numbers, in, between, out, at_position);
}

/* Not inlined, so that however many layers call it there is one caller of the walk, which then takes in what it does at
 * a position: a twelfth fewer cycles. */
__attribute__((noinline)) void nn_conv_i8_run(const nn_conv_i8 *stage, nn_far numbers, const uint8_t *in, uint8_t *out)
{
    run(stage, numbers, in, out, convolve_i8);
}

__attribute__((noinline)) void nn_conv_packed_run(const nn_conv_i8 *stage, nn_far numbers, const uint8_t *in,
                                                  uint8_t *out)
{
    run(stage, numbers, in, out, convolve_packed);
}

void nn_conv_i8_pair(const nn_conv_i8 *first, const nn_conv_i8 *second, nn_far numbers, const uint8_t *in,
                     uint8_t *between, uint8_t *out)
{
    pair(first, second, numbers, in, between, out, convolve_i8);
}

void nn_conv_packed_pair(const nn_conv_i8 *first, const nn_conv_i8 *second, nn_far numbers, const uint8_t *in,
                         uint8_t *between, uint8_t *out)
{
    pair(first, second, numbers, in, between, out, convolve_packed);
}
