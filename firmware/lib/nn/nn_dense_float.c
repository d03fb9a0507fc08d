/* Dense layers of float32 with one row of numbers for each output, wherever in flash they lie. All outputs advance
 * together, one input at a time, so that an input is converted once and one of zero costs nothing; each output's sum
 * still runs bias first, then input 0, 1, 2 … Builds use -ffp-contract=off: a fused multiply-add would skip a rounding
 * that the reference does. */
#include "nn_float.h"

static inline __attribute__((always_inline)) void run(const nn_dense_float *stage, nn_far numbers, const void *in,
                                                      float *out, uint8_t is_half, uint8_t is_u8)
{
    nn_dense_float layer;
    nn_rom_copy(&layer, stage, sizeof layer);
    const uint32_t row_bytes = NN_FLOAT_BYTES + (uint32_t)layer.inputs * nn_weight_bytes(is_half);
    nn_far at = numbers + layer.rows;
    for (uint8_t i = 0; i < layer.outputs; i++) {
        out[i] = nn_far_bias(at);
        at += row_bytes;
    }
    nn_far column = numbers + layer.rows + NN_FLOAT_BYTES;
    for (uint16_t j = 0; j < layer.inputs; j++) {
        if (!nn_is_zero(in, j, is_u8)) {
            const float input = nn_input(in, j, is_u8);
            at = column;
            for (uint8_t i = 0; i < layer.outputs; i++) {
                const float term = nn_far_weight(at, is_half) * input;
                out[i] += term;
                at += row_bytes;
            }
        }
        column += nn_weight_bytes(is_half);
    }
    for (uint8_t i = 0; i < layer.outputs; i++)
        out[i] = nn_rectified(out[i], layer.relu);
}

void nn_dense_f16_u8(const nn_dense_float *stage, nn_far numbers, const uint8_t *in, float *out)
{
    run(stage, numbers, in, out, 1, 1);
}

void nn_dense_f16_f32(const nn_dense_float *stage, nn_far numbers, const float *in, float *out)
{
    run(stage, numbers, in, out, 1, 0);
}

void nn_dense_f32_u8(const nn_dense_float *stage, nn_far numbers, const uint8_t *in, float *out)
{
    run(stage, numbers, in, out, 0, 1);
}

void nn_dense_f32_f32(const nn_dense_float *stage, nn_far numbers, const float *in, float *out)
{
    run(stage, numbers, in, out, 0, 0);
}
