/* Fully connected layers with one row of numbers for each output (nn.h), wherever in flash they lie. Each function is
 * compiled twice, for weights of a byte and for packed ones, so that neither pays for the other. */
#include "nn.h"
#include "nn_dot.h"

static inline __attribute__((always_inline)) int32_t row_sum(const nn_dense *layer, nn_far weights, const uint8_t *in,
                                                             int32_t bias, uint8_t is_packed)
{
    return is_packed ? nn_packed_run_sum(layer->inputs, weights, layer->bits, in, bias)
                     : nn_run_sum(layer->inputs, weights, in, bias);
}

static inline __attribute__((always_inline)) void hidden(const nn_dense *stage, nn_far numbers, const uint8_t *in,
                                                         uint8_t *out, uint8_t is_packed)
{
    nn_dense layer;
    nn_rom_copy(&layer, stage, sizeof layer);
    const uint8_t top = nn_top(layer.top);
    const uint16_t weight_bytes = is_packed ? nn_packed_bytes(layer.inputs, layer.bits) : layer.inputs;
    nn_far row = numbers + layer.rows;
    for (uint8_t i = 0; i < layer.outputs; i++) {
        const int32_t sum = row_sum(&layer, row + 6, in, nn_far_i32(row), is_packed);
        out[i] = nn_activation(sum, nn_far_u16(row + 4), layer.shift, top);
        row += 6;
        row += weight_bytes;
    }
}

static inline __attribute__((always_inline)) void scores(const nn_dense *stage, nn_far numbers, const uint8_t *in,
                                                         int32_t *out, uint8_t is_packed)
{
    nn_dense layer;
    nn_rom_copy(&layer, stage, sizeof layer);
    const uint16_t weight_bytes = is_packed ? nn_packed_bytes(layer.inputs, layer.bits) : layer.inputs;
    nn_far row = numbers + layer.rows;
    for (uint8_t i = 0; i < layer.outputs; i++) {
        out[i] = row_sum(&layer, row + 4, in, nn_far_i32(row), is_packed);
        row += 4;
        row += weight_bytes;
    }
}

void nn_dense_hidden(const nn_dense *stage, nn_far numbers, const uint8_t *in, uint8_t *out)
{
    hidden(stage, numbers, in, out, 0);
}

void nn_dense_packed_hidden(const nn_dense *stage, nn_far numbers, const uint8_t *in, uint8_t *out)
{
    hidden(stage, numbers, in, out, 1);
}

void nn_dense_scores(const nn_dense *stage, nn_far numbers, const uint8_t *in, int32_t *out)
{
    scores(stage, numbers, in, out, 0);
}

void nn_dense_packed_scores(const nn_dense *stage, nn_far numbers, const uint8_t *in, int32_t *out)
{
    scores(stage, numbers, in, out, 1);
}
