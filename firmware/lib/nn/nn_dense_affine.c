/* Fully connected layers of codes among which 0.0 has one of its own. */
#include "nn.h"
#include "nn_affine.h"
#include "nn_dot.h"

#define RULE_AT    4u
#define WEIGHTS_AT (RULE_AT + NN_AFFINE_RULE_BYTES)

void nn_dense_affine_hidden(const nn_dense_affine *stage, nn_far numbers, const uint8_t *in, uint8_t *out)
{
    nn_dense_affine layer;
    nn_rom_copy(&layer, stage, sizeof layer);
    const nn_affine_range range = {layer.zero, layer.low, layer.high};
    nn_far row = numbers + layer.rows;
    for (uint8_t i = 0; i < layer.outputs; i++) {
        const int32_t sum = nn_run_sum(layer.inputs, row + WEIGHTS_AT, in, nn_far_i32(row));
        out[i] = nn_affine_code(sum, row + RULE_AT, &range);
        row += WEIGHTS_AT;
        row += layer.inputs;
    }
}

void nn_dense_affine_scores(const nn_dense_affine *stage, nn_far numbers, const uint8_t *in, int32_t *out)
{
    uint8_t outputs;
    nn_rom_copy(&outputs, &stage->outputs, 1);
    nn_dense_affine_hidden(stage, numbers, in, (uint8_t *)out);
    nn_affine_widen(out, outputs);
}
