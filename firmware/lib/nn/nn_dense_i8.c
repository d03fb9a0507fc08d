/* Dense layers with int8 weights and u8 inputs. The exporter has proved that each final sum fits its accumulator.
 * 16-bit sums run in unsigned arithmetic, so that wrapping on the way is defined. 32-bit sums never wrap: the proof
 * takes the positive and the negative terms apart, and so holds for every partial sum too. */
#include <stddef.h>

#include "nn.h"

/* |int8 * u8| <= 32640 fits 16 bits, so each product is one MULSU on AVR. */
static inline uint16_t product(int8_t weight, uint8_t input)
{
    return (uint16_t)((int16_t)weight * (int16_t)input);
}

/* Four products a turn, because on AVR the loop's own compare and branch cost as much as a third of a product. */
static int16_t sum16(const int8_t *weights, const uint8_t *in, uint16_t inputs, uint16_t sum)
{
    for (uint16_t turns = inputs / 4; turns; turns--) {
        sum = (uint16_t)(sum + product(nn_rom_next_i8(&weights), nn_next_u8(&in)));
        sum = (uint16_t)(sum + product(nn_rom_next_i8(&weights), nn_next_u8(&in)));
        sum = (uint16_t)(sum + product(nn_rom_next_i8(&weights), nn_next_u8(&in)));
        sum = (uint16_t)(sum + product(nn_rom_next_i8(&weights), nn_next_u8(&in)));
    }
    for (uint8_t left = inputs % 4; left; left--)
        sum = (uint16_t)(sum + product(nn_rom_next_i8(&weights), nn_next_u8(&in)));
    return (int16_t)sum;
}

static int32_t sum32(const int8_t *weights, const uint8_t *in, uint16_t inputs, int32_t sum)
{
    for (uint16_t turns = inputs / 4; turns; turns--) {
        sum += (int16_t)product(nn_rom_next_i8(&weights), nn_next_u8(&in));
        sum += (int16_t)product(nn_rom_next_i8(&weights), nn_next_u8(&in));
        sum += (int16_t)product(nn_rom_next_i8(&weights), nn_next_u8(&in));
        sum += (int16_t)product(nn_rom_next_i8(&weights), nn_next_u8(&in));
    }
    for (uint8_t left = inputs % 4; left; left--)
        sum += (int16_t)product(nn_rom_next_i8(&weights), nn_next_u8(&in));
    return sum;
}

static int32_t neuron_sum(const nn_dense_i8 *layer, uint8_t output, const uint8_t *in)
{
    const int8_t *weights = layer->weights + (size_t)output * layer->inputs;
    const int32_t bias = nn_rom_i32(layer->bias + output);
    if (layer->accumulator_bits == 16)
        return sum16(weights, in, layer->inputs, (uint16_t)bias);
    return sum32(weights, in, layer->inputs, bias);
}

void nn_dense_i8_hidden(const nn_dense_i8 *layer, const uint8_t *in, uint8_t *out)
{
    const uint32_t half = (uint32_t)1 << (layer->shift - 1);
    for (uint8_t i = 0; i < layer->outputs; i++) {
        const int32_t sum = neuron_sum(layer, i, in);
        const uint32_t scaled = sum > 0 ? ((uint32_t)sum * layer->multiplier + half) >> layer->shift : 0;
        out[i] = scaled > layer->levels ? layer->levels : (uint8_t)scaled;
    }
}

void nn_dense_i8_scores(const nn_dense_i8 *layer, const uint8_t *in, int32_t *out)
{
    for (uint8_t i = 0; i < layer->outputs; i++)
        out[i] = neuron_sum(layer, i, in);
}
