/* Dense layers over the patch kernels: what nn_dense.c does, several outputs at once. */
#ifdef __AVR__ /* PlatformIO hands every board all of lib/nn. */
#include "nn_avr_blocks.h"

void nn_avr_dense_hidden(const nn_avr_dense *stage, nn_far numbers, const uint8_t *in, uint8_t *out)
{
    nn_avr_dense layer;
    nn_rom_copy(&layer, stage, sizeof layer);
    const nn_window all = {in, 0, {layer.piece, layer.pieces, 0, 0}, 1};
    activate_blocks(&all, (uint16_t)(layer.pieces * layer.piece), 0, &layer.blocks,
                    how_of(layer.shift, nn_top(layer.top), 1), numbers + layer.rows, out);
}

void nn_avr_dense_scores(const nn_avr_dense *stage, nn_far numbers, const uint8_t *in, int32_t *out)
{
    nn_avr_dense layer;
    nn_rom_copy(&layer, stage, sizeof layer);
    const nn_avr_blocks *blocks = &layer.blocks;
    const uint16_t inputs = (uint16_t)(layer.pieces * layer.piece);
    const nn_avr_patch patch = {0, layer.pieces, layer.piece, 0, 0, 0};
    nn_far block = numbers + layer.rows;
    uint8_t size = blocks->size, stride = blocks->larger_stride, left = blocks->larger;
    nn_avr_patch24 *sum_up = blocks->larger_sums;
    for (;;) {
        const uint16_t bytes = (uint16_t)(inputs * stride + (uint8_t)(BIAS_BYTES * size));
        for (; left; left--) {
            uint8_t sums[BIAS_BYTES * NN_AVR_PATCH24_MAX];
            sum_up(in, &patch, block, sums);
            nn_avr_widen24(sums, size, out);
            block += bytes;
            out += size;
        }
        if (size < blocks->size || !blocks->smaller)
            return;
        size--;
        stride = blocks->smaller_stride;
        left = blocks->smaller;
        sum_up = blocks->smaller_sums;
    }
}

#endif
