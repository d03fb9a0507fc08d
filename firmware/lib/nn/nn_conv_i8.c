/* Convolution, ReLU and max-pool of u8 maps in one pass, so that the map before the pool is never stored. */
#include "nn.h"
#include "nn_dot.h"
#include "nn_walk.h"

#define ROW_WEIGHTS_AT 6u

static int32_t window_sum(const nn_conv_i8 *layer, const nn_window *at, const uint8_t *in, nn_far weights, int32_t sum)
{
    weights += at->skipped;
    sum = nn_patch_sum(&at->patch, weights, in, sum);
    for (uint8_t left = (uint8_t)(at->patches - 1); left; left--) {
        weights += (uint16_t)(layer->kernel * layer->group_inputs);
        in += (uint16_t)(layer->width * layer->channels);
        sum = nn_patch_sum(&at->patch, weights, in, sum);
    }
    return sum;
}

static void convolve(const nn_conv_i8 *layer, nn_far row, const nn_window *at, uint8_t is_first, uint8_t *out)
{
    const uint16_t row_bytes =
        (uint16_t)(ROW_WEIGHTS_AT + (uint16_t)(layer->kernel * layer->kernel) * layer->group_inputs);
    const uint8_t *in = at->in;
    uint8_t left = layer->group_outputs;
    for (uint8_t i = 0; i < layer->outputs; i++) {
        const int32_t sum = window_sum(layer, at, in, row + ROW_WEIGHTS_AT, nn_far_i32(row));
        const uint8_t value = nn_activation(sum, nn_far_u16(row + 4), layer->shift);
        if (is_first || value > out[i])
            out[i] = value;
        row += row_bytes;
        if (--left == 0) {
            left = layer->group_outputs;
            in += layer->group_inputs;
        }
    }
}

void nn_conv_i8_run(const nn_conv_i8 *stage, nn_far numbers, const uint8_t *in, uint8_t *out)
{
    nn_conv_i8 layer;
    nn_rom_copy(&layer, stage, sizeof layer);
    nn_walk(&layer, numbers + layer.rows, in, out, convolve);
}
