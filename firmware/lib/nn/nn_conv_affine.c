/* Convolution and max-pool of codes among which 0.0 has one of its own, in one pass. */
#include "nn.h"
#include "nn_affine.h"
#include "nn_dot.h"
#include "nn_walk.h"

#define EDGE_AT    4u
#define RULE_AT    8u
#define WEIGHTS_AT (RULE_AT + NN_AFFINE_RULE_BYTES)

/* Of all weights of a window. */
static int32_t weights_sum(const nn_patch *patch, nn_far weights)
{
    int32_t sum = 0;
    for (uint8_t row = patch->rows; row; row--) {
        for (uint16_t run = patch->run; run; run--)
            sum += (int8_t)nn_far_u8(weights++);
        weights += patch->weights_gap;
    }
    return sum;
}

/* Where the kernel reaches outside the map, what lies there counts as 0.0: the sum starts at the bias that no zero code
 * has gone into, and each weight inside takes its own share out. Where 0.0 is the code 0, all is as inside. */
static int32_t window_sum(const nn_conv_affine *layer, const nn_window *at, const uint8_t *in, nn_far row,
                          uint8_t is_whole)
{
    const nn_conv_i8 *conv = &layer->conv;
    const uint16_t line = (uint16_t)(conv->kernel_width * conv->group_inputs);
    int32_t sum = nn_far_i32(is_whole ? row : row + EDGE_AT);
    nn_far weights = row + WEIGHTS_AT + at->skipped;
    for (uint8_t left = at->patches; left; left--) {
        sum = nn_patch_sum(&at->patch, weights, in, sum);
        if (!is_whole)
            sum -= weights_sum(&at->patch, weights) * layer->in_zero;
        weights += line;
        in += (uint16_t)(conv->width * conv->channels);
    }
    return sum;
}

static void convolve(const nn_conv_i8 *conv, nn_far row, const nn_window *at, uint8_t is_first, uint8_t *out)
{
    const nn_conv_affine *layer = (const nn_conv_affine *)(const void *)conv; /* as nn_walk was given it */
    nn_affine_range range = {layer->zero, layer->low, conv->top};
    const uint16_t weights = (uint16_t)((uint16_t)(conv->kernel * conv->kernel_width) * conv->group_inputs);
    const uint8_t is_whole =
        !layer->in_zero || (uint16_t)((uint16_t)(at->patch.run * at->patch.rows) * at->patches) == weights;
    const uint8_t *in = at->in;
    uint8_t left = conv->group_outputs;
    for (uint8_t i = 0; i < conv->outputs; i++) {
        if (!is_first)
            range.low = out[i]; /* the larger of both is asked for */
        out[i] = nn_affine_code(window_sum(layer, at, in, row, is_whole), row + RULE_AT, &range);
        row += WEIGHTS_AT;
        row += weights;
        if (--left == 0) {
            left = conv->group_outputs;
            in += conv->group_inputs;
        }
    }
}

__attribute__((noinline)) void nn_conv_affine_run(const nn_conv_affine *stage, nn_far numbers, const uint8_t *in,
                                                  uint8_t *out)
{
    nn_conv_affine layer;
    nn_walk_load(&layer.conv, stage, sizeof layer);
    nn_walk(&layer.conv, numbers, in, out, convolve);
}

void nn_conv_affine_pair(const nn_conv_affine *first, const nn_conv_affine *second, nn_far numbers, const uint8_t *in,
                         uint8_t *between, uint8_t *out)
{
    const nn_pair stages = {first, second, sizeof(nn_conv_affine)};
    nn_conv_affine layer;
    nn_walk_pair(&stages, &layer.conv, numbers, in, between, out, convolve);
}
