/* Fully connected layers of codes among which 0.0 has one of its own. */
#include "nn.h"
#include "nn_affine.h"
#include "nn_dot.h"

#define RULE_AT    4u
#define WEIGHTS_AT (RULE_AT + NN_AFFINE_RULE_BYTES)

/* The code of the output whose row is at `row`. */
static uint8_t output(const nn_dense_affine *layer, nn_far row, const uint8_t *in)
{
    const nn_affine_range range = {layer->zero, layer->low, layer->high};
    return nn_affine_code(nn_run_sum(layer->inputs, row + WEIGHTS_AT, in, nn_far_i32(row)), row + RULE_AT, &range);
}

void nn_dense_affine_hidden(const nn_dense_affine *stage, nn_far numbers, const uint8_t *in, uint8_t *out)
{
    nn_dense_affine layer;
    nn_rom_copy(&layer, stage, sizeof layer);
    nn_far row = numbers + layer.rows;
    for (uint8_t i = 0; i < layer.outputs; i++) {
        out[i] = output(&layer, row, in);
        row += WEIGHTS_AT;
        row += layer.inputs;
    }
}

void nn_dense_affine_scores(const nn_dense_affine *stage, nn_far numbers, const uint8_t *in, int32_t *out)
{
    nn_dense_affine layer;
    nn_rom_copy(&layer, stage, sizeof layer);
    nn_far row = numbers + layer.rows;
    for (uint8_t i = 0; i < layer.outputs; i++) {
        out[i] = output(&layer, row, in);
        row += WEIGHTS_AT;
        row += layer.inputs;
    }
}
