/* Fully connected layers with one row of numbers for each output (nn.h), wherever in flash they lie. */
#include "nn.h"
#include "nn_dot.h"

void nn_rows_i8_hidden(const nn_rows_i8 *stage, nn_far numbers, const uint8_t *in, uint8_t *out)
{
    nn_rows_i8 layer;
    nn_rom_copy(&layer, stage, sizeof layer);
    const nn_patch all = {layer.inputs, 1, 0, 0};
    nn_far row = numbers + layer.rows;
    for (uint8_t i = 0; i < layer.outputs; i++) {
        const int32_t sum = nn_patch_sum(&all, row + 6, in, nn_far_i32(row));
        out[i] = nn_activation(sum, nn_far_u16(row + 4), layer.shift);
        row += 6;
        row += layer.inputs;
    }
}

void nn_rows_i8_scores(const nn_rows_i8 *stage, nn_far numbers, const uint8_t *in, int32_t *out)
{
    nn_rows_i8 layer;
    nn_rom_copy(&layer, stage, sizeof layer);
    const nn_patch all = {layer.inputs, 1, 0, 0};
    nn_far row = numbers + layer.rows;
    for (uint8_t i = 0; i < layer.outputs; i++) {
        out[i] = nn_patch_sum(&all, row + 4, in, nn_far_i32(row));
        row += 4;
        row += layer.inputs;
    }
}
