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
    nn_avr_how how;
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

/* Sizes in bytes for blocks of `size` outputs, whose weights of one input take `stride` bytes; `counts` and `skipped`
 * have them in inputs. An output's numbers before the weights take `head` bytes. */
static void scale(task *it, const nn_patch *counts, uint16_t skipped, uint16_t inputs, uint8_t size, uint8_t stride,
                  uint8_t head)
{
    it->size = size;
    it->patch.skip = (uint16_t)(skipped * stride + (uint8_t)((head - BIAS_BYTES) * size));
    it->patch.rows = counts->rows;
    it->patch.run = (uint8_t)counts->run;
    it->patch.weights_gap = (uint16_t)(counts->weights_gap * stride);
    it->patch.in_gap = counts->in_gap;
    it->block_bytes = (uint16_t)(inputs * stride + (uint8_t)(head * size));
}

/* Inlined wherever it stands, like all between a layer and its blocks: an Uno's stack pays for every call. */
static inline __attribute__((always_inline)) void activate(task *it, const nn_avr_blocks *blocks,
                                                           const nn_patch *counts, uint16_t skipped, uint16_t inputs,
                                                           nn_far block, uint8_t *out)
{
    const uint8_t head = BIAS_BYTES + MULTIPLIER_BYTES;
    scale(it, counts, skipped, inputs, blocks->size, blocks->larger_stride, head);
    activate_blocks(it, blocks->larger_sums, blocks->larger, &block, &out);
    if (blocks->smaller) {
        scale(it, counts, skipped, inputs, (uint8_t)(blocks->size - 1), blocks->smaller_stride, head);
        activate_blocks(it, blocks->smaller_sums, blocks->smaller, &block, &out);
    }
}

static inline __attribute__((always_inline)) uint8_t flags(uint8_t shift, uint8_t is_first)
{
    return (uint8_t)((is_first ? 0 : NN_AVR_MAX) | (shift == 16 ? NN_AVR_SHIFT16 : 0));
}

static inline __attribute__((always_inline)) void convolve_full(const nn_conv_i8 *layer, nn_far numbers,
                                                                const nn_window *at, uint8_t is_first, uint8_t *out)
{
    const nn_avr_conv *stage = (const nn_avr_conv *)(const void *)layer; /* its first member */
    task it;
    it.in = at->in;
    it.how.flags = flags(layer->shift, is_first);
    it.how.top = layer->top;
    const uint16_t inputs = (uint16_t)((uint16_t)(layer->kernel * layer->kernel) * layer->channels);
    activate(&it, &stage->blocks, &at->patch, at->skipped, inputs, numbers, out);
}

static void convolve(const nn_conv_i8 *layer, nn_far numbers, const nn_window *at, uint8_t is_first, uint8_t *out)
{
    convolve_full(layer, numbers, at, is_first, out);
}

static inline __attribute__((always_inline)) void run(const nn_avr_conv *stage, nn_far numbers, const uint8_t *in,
                                                      uint8_t *out, nn_at_position at_position)
{
    nn_avr_conv copy;
    nn_walk_load(&copy.layer, stage, sizeof copy);
    nn_walk(&copy.layer, numbers, in, out, at_position);
}

static inline __attribute__((always_inline)) void run_pair(const nn_avr_conv *first, const nn_avr_conv *second,
                                                           nn_far numbers, const uint8_t *in, uint8_t *between,
                                                           uint8_t *out, nn_at_position at_position)
{
    const nn_pair stages = {first, second, sizeof(nn_avr_conv)};
    nn_avr_conv copy;
    nn_walk_pair(&stages, &copy.layer, numbers, in, between, out, at_position);
}

void nn_avr_conv_run(const nn_avr_conv *stage, nn_far numbers, const uint8_t *in, uint8_t *out)
{
    run(stage, numbers, in, out, convolve);
}

void nn_avr_conv_pair(const nn_avr_conv *first, const nn_avr_conv *second, nn_far numbers, const uint8_t *in,
                      uint8_t *between, uint8_t *out)
{
    run_pair(first, second, numbers, in, between, out, convolve);
}

/* Blocks of neighbouring channels; `at` has a kernel row as runs of one input. */
static inline __attribute__((always_inline)) void convolve_channels(const nn_conv_i8 *layer, nn_far block,
                                                                    const nn_window *at, uint8_t is_first, uint8_t *out)
{
    const nn_avr_blocks *blocks = &((const nn_avr_conv *)(const void *)layer)->blocks; /* layer: its first member */
    const uint8_t pixels = at->patch.rows;
    const nn_patch counts = {pixels, at->patches, (uint16_t)(layer->kernel - pixels),
                             (uint16_t)((uint16_t)(layer->width - pixels) * layer->channels)};
    task it;
    it.in = at->in;
    it.how.flags = flags(layer->shift, is_first);
    it.how.top = layer->top;
    uint8_t size = blocks->size, left = blocks->larger;
    nn_avr_patch24 *sum_up = blocks->larger_sums;
    for (;;) {
        scale(&it, &counts, at->skipped, (uint16_t)(layer->kernel * layer->kernel), size, size,
              BIAS_BYTES + MULTIPLIER_BYTES);
        it.patch.pixel_gap = (uint8_t)(layer->channels - size);
        for (; left; left--) {
            activate_blocks(&it, sum_up, 1, &block, &out);
            it.in += size;
        }
        if (size < blocks->size || !blocks->smaller)
            return;
        size--;
        left = blocks->smaller;
        sum_up = blocks->smaller_sums;
    }
}

static void convolve_depth(const nn_conv_i8 *layer, nn_far numbers, const nn_window *at, uint8_t is_first, uint8_t *out)
{
    convolve_channels(layer, numbers, at, is_first, out);
}

static void convolve_either(const nn_conv_i8 *layer, nn_far numbers, const nn_window *at, uint8_t is_first,
                            uint8_t *out)
{
    if (layer->group_inputs == layer->channels)
        convolve_full(layer, numbers, at, is_first, out);
    else
        convolve_channels(layer, numbers, at, is_first, out);
}

void nn_avr_depth_run(const nn_avr_conv *stage, nn_far numbers, const uint8_t *in, uint8_t *out)
{
    run(stage, numbers, in, out, convolve_depth);
}

void nn_avr_depth_pair(const nn_avr_conv *first, const nn_avr_conv *second, nn_far numbers, const uint8_t *in,
                       uint8_t *between, uint8_t *out)
{
    run_pair(first, second, numbers, in, between, out, convolve_either);
}

void nn_avr_rows_hidden(const nn_avr_rows *stage, nn_far numbers, const uint8_t *in, uint8_t *out)
{
    nn_avr_rows layer;
    nn_rom_copy(&layer, stage, sizeof layer);
    const nn_patch counts = {layer.piece, layer.pieces, 0, 0};
    task it;
    it.in = in;
    it.how.flags = flags(layer.shift, 1);
    it.how.top = nn_top(layer.top);
    const uint16_t inputs = (uint16_t)(layer.pieces * layer.piece);
    activate(&it, &layer.blocks, &counts, 0, inputs, numbers + layer.rows, out);
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
    const nn_patch counts = {layer.piece, layer.pieces, 0, 0};
    const uint16_t inputs = (uint16_t)(layer.pieces * layer.piece);
    nn_far block = numbers + layer.rows;
    task it = {.in = in};
    scale(&it, &counts, 0, inputs, blocks->size, blocks->larger_stride, BIAS_BYTES);
    score_blocks(&it, blocks->larger_sums, blocks->larger, &block, &out);
    if (blocks->smaller) {
        scale(&it, &counts, 0, inputs, (uint8_t)(blocks->size - 1), blocks->smaller_stride, BIAS_BYTES);
        score_blocks(&it, blocks->smaller_sums, blocks->smaller, &block, &out);
    }
}

#endif
