/* Dense layers in float32, with float32 or float16 weights. All neurons advance together, one input at a time, so
 * that an input is converted once; each neuron's sum still runs bias first, then input 0, 1, 2 …
 * Builds use -ffp-contract=off: a fused multiply-add would skip a rounding that the reference does. */
#include <stddef.h>

#include "nn.h"

typedef struct {
    const void *weights;
    uint16_t inputs;
    uint8_t outputs;
    uint8_t is_half;
} matrix;

static inline float weight_at(const matrix *m, size_t index)
{
    if (m->is_half)
        return nn_half_to_float(nn_rom_u16((const uint16_t *)m->weights + index));
    return nn_rom_f32((const float *)m->weights + index);
}

static void start_at_bias(const float *bias, uint8_t outputs, float *sums)
{
    for (uint8_t i = 0; i < outputs; i++)
        sums[i] = nn_rom_f32(bias + i);
}

static void add_input(const matrix *m, uint16_t column, float input, float *sums)
{
    size_t index = column;
    for (uint8_t i = 0; i < m->outputs; i++) {
        const float term = weight_at(m, index) * input;
        sums[i] += term;
        index += m->inputs;
    }
}

static void add_u8(const matrix *m, const uint8_t *in, float *sums)
{
    for (uint16_t j = 0; j < m->inputs; j++)
        add_input(m, j, (float)in[j], sums);
}

static void add_f32(const matrix *m, const float *in, float *sums)
{
    for (uint16_t j = 0; j < m->inputs; j++)
        add_input(m, j, in[j], sums);
}

static void clamp_negative(uint8_t relu, uint8_t outputs, float *sums)
{
    for (uint8_t i = 0; relu && i < outputs; i++)
        sums[i] = sums[i] > 0.0f ? sums[i] : 0.0f;
}

void nn_dense_f16_u8(const nn_dense_f16 *layer, const uint8_t *in, uint8_t relu, float *out)
{
    const matrix m = {layer->weights, layer->inputs, layer->outputs, 1};
    start_at_bias(layer->bias, layer->outputs, out);
    add_u8(&m, in, out);
    clamp_negative(relu, layer->outputs, out);
}

void nn_dense_f16_f32(const nn_dense_f16 *layer, const float *in, uint8_t relu, float *out)
{
    const matrix m = {layer->weights, layer->inputs, layer->outputs, 1};
    start_at_bias(layer->bias, layer->outputs, out);
    add_f32(&m, in, out);
    clamp_negative(relu, layer->outputs, out);
}

void nn_dense_f32_u8(const nn_dense_f32 *layer, const uint8_t *in, uint8_t relu, float *out)
{
    const matrix m = {layer->weights, layer->inputs, layer->outputs, 0};
    start_at_bias(layer->bias, layer->outputs, out);
    add_u8(&m, in, out);
    clamp_negative(relu, layer->outputs, out);
}

void nn_dense_f32_f32(const nn_dense_f32 *layer, const float *in, uint8_t relu, float *out)
{
    const matrix m = {layer->weights, layer->inputs, layer->outputs, 0};
    start_at_bias(layer->bias, layer->outputs, out);
    add_f32(&m, in, out);
    clamp_negative(relu, layer->outputs, out);
}
