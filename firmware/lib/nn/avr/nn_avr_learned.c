/* The stages of learned nets over the assembly kernels: what nn_conv_i8.c and nn_rows_i8.c do, several outputs at once.
 */
#ifdef __AVR__ /* PlatformIO hands every board all of lib/nn. */
#include "../nn_walk.h"
#include "nn_avr.h"

#define BIAS_BYTES       3u
#define MULTIPLIER_BYTES 2u

/* What one position or one layer of rows does to a run of blocks of the same size. */
typedef struct {
    const uint8_t *in;
    nn_avr_patch patch;
    uint16_t block_bytes;
    uint8_t size;
    uint8_t how;
} task;

static void activate_blocks(const task *it, nn_avr_patch24 *sum_up, uint8_t count, nn_far *block, uint8_t **out)
{
    uint8_t sums[BIAS_BYTES * NN_AVR_PATCH24_MAX];
    for (; count; count--) {
        sum_up(it->in, &it->patch, *block, sums);
        nn_avr_activate24(sums, it->size, *block + (uint8_t)(BIAS_BYTES * it->size), it->how, *out);
        *block += it->block_bytes;
        *out += it->size;
    }
}

/* Sizes in bytes for blocks of `size` outputs; `counts` has them in weights. */
static void scale(task *it, const nn_avr_patch *counts, uint16_t weights, uint8_t size)
{
    it->size = size;
    it->patch = *counts;
    it->patch.skip = (uint16_t)((counts->skip + MULTIPLIER_BYTES) * size);
    it->patch.weights_gap = (uint16_t)(counts->weights_gap * size);
    it->block_bytes = (uint16_t)((weights + BIAS_BYTES + MULTIPLIER_BYTES) * size);
}

static void activate(task *it, const nn_avr_blocks *blocks, const nn_avr_patch *counts, uint16_t weights, nn_far block,
                     uint8_t *out)
{
    scale(it, counts, weights, blocks->size);
    activate_blocks(it, blocks->larger_sums, blocks->larger, &block, &out);
    if (blocks->smaller) {
        scale(it, counts, weights, (uint8_t)(blocks->size - 1));
        activate_blocks(it, blocks->smaller_sums, blocks->smaller, &block, &out);
    }
}

static void convolve(const nn_conv_i8 *layer, nn_far numbers, const nn_window *at, uint8_t is_first, uint8_t *out)
{
    const nn_avr_conv *stage = (const nn_avr_conv *)(const void *)layer; /* its first member */
    const nn_avr_patch counts = {
        .skip = at->skipped,
        .rows = at->patch.rows,
        .run = (uint8_t)at->patch.run,
        .weights_gap = at->patch.weights_gap,
        .in_gap = at->patch.in_gap,
    };
    task it;
    it.in = at->in;
    it.how = (uint8_t)((is_first ? 0 : NN_AVR_MAX) | (layer->shift == 16 ? NN_AVR_SHIFT16 : 0));
    const uint16_t weights = (uint16_t)((uint16_t)(layer->kernel * layer->kernel) * layer->channels);
    activate(&it, &stage->blocks, &counts, weights, numbers, out);
}

void nn_avr_conv_run(const nn_avr_conv *stage, nn_far numbers, const uint8_t *in, uint8_t *out)
{
    nn_avr_conv copy;
    nn_rom_copy(&copy, stage, sizeof copy);
    nn_walk(&copy.layer, numbers + copy.layer.rows, in, out, convolve);
}

void nn_avr_rows_hidden(const nn_avr_rows *stage, nn_far numbers, const uint8_t *in, uint8_t *out)
{
    nn_avr_rows layer;
    nn_rom_copy(&layer, stage, sizeof layer);
    const nn_avr_patch counts = {0, layer.pieces, layer.piece, 0, 0};
    task it;
    it.in = in;
    it.how = layer.shift == 16 ? NN_AVR_SHIFT16 : 0;
    const uint16_t weights = (uint16_t)(layer.pieces * layer.piece);
    activate(&it, &layer.blocks, &counts, weights, numbers + layer.rows, out);
}

static void score_blocks(const task *it, nn_avr_patch24 *sum_up, uint8_t count, nn_far *block, int32_t **out)
{
    uint8_t sums[BIAS_BYTES * NN_AVR_PATCH24_MAX];
    for (; count; count--) {
        sum_up(it->in, &it->patch, *block, sums);
        const uint8_t *at = sums;
        for (uint8_t i = it->size; i; i--) {
            const uint32_t shifted = (uint32_t)at[0] << 8 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 24;
            *(*out)++ = (int32_t)shifted >> 8; /* with its sign */
            at += BIAS_BYTES;
        }
        *block += it->block_bytes;
    }
}

void nn_avr_rows_scores(const nn_avr_rows *stage, nn_far numbers, const uint8_t *in, int32_t *out)
{
    nn_avr_rows layer;
    nn_rom_copy(&layer, stage, sizeof layer);
    const nn_avr_blocks *blocks = &layer.blocks;
    const uint16_t weights = (uint16_t)(layer.pieces * layer.piece);
    nn_far block = numbers + layer.rows;
    task it = {.in = in, .patch = {0, layer.pieces, layer.piece, 0, 0}, .size = blocks->size};
    it.block_bytes = (uint16_t)((weights + BIAS_BYTES) * it.size);
    score_blocks(&it, blocks->larger_sums, blocks->larger, &block, &out);
    if (blocks->smaller) {
        it.size--;
        it.block_bytes = (uint16_t)((weights + BIAS_BYTES) * it.size);
        score_blocks(&it, blocks->smaller_sums, blocks->smaller, &block, &out);
    }
}

#endif
