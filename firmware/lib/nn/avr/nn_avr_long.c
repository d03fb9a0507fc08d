/* Dense layers whose sums may pass what one call of a patch kernel can hold: each row is cut into pieces that fit, and
 * the pieces' sums meet in 32 bits. */
#ifdef __AVR__ /* PlatformIO hands every board all of lib/nn. */
#include "nn_avr.h"

#define SUM_BYTES        3u
#define BIAS_BYTES       4u
#define MULTIPLIER_BYTES 2u
#define SHAPE_BYTES      2u

/* The numbers and the inputs of a layer, and what each of its pieces is. */
typedef struct {
    const uint8_t *in;
    nn_far shapes;
    uint8_t pieces;
} pieces;

/* Blocks of one size. */
typedef struct {
    uint8_t size;
    uint8_t stride;
    nn_avr_patch24 *sum_up;
} kind;

static inline kind kind_of(const nn_avr_blocks *blocks, uint8_t block)
{
    if (block < blocks->larger)
        return (kind){blocks->size, blocks->larger_stride, blocks->larger_sums};
    return (kind){(uint8_t)(blocks->size - 1), blocks->smaller_stride, blocks->smaller_sums};
}

static nn_far load_bias(nn_far block, uint8_t size, int32_t *totals)
{
    for (; size; size--) {
        *totals++ = nn_far_i32(block);
        block += BIAS_BYTES;
    }
    return block;
}

/* Adds the pieces of one block, which begin at `weights`; returns where they end. */
static nn_far add_up(const pieces *cut, const kind *block, nn_far weights, int32_t *totals)
{
    uint8_t sums[SUM_BYTES * NN_AVR_PATCH24_MAX];
    nn_avr_patch patch = {0, 0, 0, 0, 0, 0};
    const uint8_t *in = cut->in;
    nn_far shape = cut->shapes;
    for (uint8_t left = cut->pieces; left; left--) {
        patch.rows = nn_far_u8(shape++);
        patch.run = nn_far_u8(shape++);
        block->sum_up(in, &patch, weights, sums);
        nn_avr_add24(sums, block->size, totals);
        const uint16_t inputs = (uint16_t)(patch.rows * patch.run);
        in += inputs;
        weights += (uint8_t)(SUM_BYTES * block->size);
        for (uint8_t bytes = block->stride; bytes; bytes--) /* their product may take more than 16 bits */
            weights += inputs;
    }
    return weights;
}

void nn_avr_long_hidden(const nn_avr_long *stage, nn_far numbers, const uint8_t *in, uint8_t *out)
{
    nn_avr_long layer;
    nn_rom_copy(&layer, stage, sizeof layer);
    const pieces cut = {in, numbers + layer.rows, layer.pieces};
    const nn_avr_how how = {layer.shift == 16 ? NN_AVR_SHIFT16 : 0, layer.top};
    nn_far at = cut.shapes + (uint16_t)(SHAPE_BYTES * cut.pieces);
    const uint8_t blocks = (uint8_t)(layer.blocks.larger + layer.blocks.smaller);
    for (uint8_t i = 0; i < blocks; i++) {
        int32_t totals[NN_AVR_PATCH24_MAX];
        const kind block = kind_of(&layer.blocks, i);
        const nn_far multipliers = load_bias(at, block.size, totals);
        at = add_up(&cut, &block, multipliers + (uint8_t)(MULTIPLIER_BYTES * block.size), totals);
        nn_avr_activate32(totals, block.size, multipliers, how, out);
        out += block.size;
    }
}

void nn_avr_long_scores(const nn_avr_long *stage, nn_far numbers, const uint8_t *in, int32_t *out)
{
    nn_avr_long layer;
    nn_rom_copy(&layer, stage, sizeof layer);
    const pieces cut = {in, numbers + layer.rows, layer.pieces};
    nn_far at = cut.shapes + (uint16_t)(SHAPE_BYTES * cut.pieces);
    const uint8_t blocks = (uint8_t)(layer.blocks.larger + layer.blocks.smaller);
    for (uint8_t i = 0; i < blocks; i++) {
        const kind block = kind_of(&layer.blocks, i);
        at = add_up(&cut, &block, load_bias(at, block.size, out), out);
        out += block.size;
    }
}

#endif
