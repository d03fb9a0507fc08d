/* A layer's outputs block by block, for convolutions at one position and for dense layers. Private to the kernels. */
#ifndef NN_AVR_BLOCKS_H
#define NN_AVR_BLOCKS_H

#include "../nn_walk.h"
#include "nn_avr.h"

#define BIAS_BYTES       3u
#define MULTIPLIER_BYTES 2u

/* What becomes of the `size` sums of a block, whose rules stand at `rules`; `how` is the kernel's own. */
typedef void finish_block(const uint8_t *sums, uint8_t size, nn_far rules, const void *how, uint8_t *out);

static inline __attribute__((always_inline)) nn_avr_how how_of(uint8_t shift, uint8_t top, uint8_t is_first)
{
    return (nn_avr_how){(uint8_t)((is_first ? 0 : NN_AVR_MAX) | (shift == 16 ? NN_AVR_SHIFT16 : 0)), top};
}

static inline __attribute__((always_inline)) void activate(const uint8_t *sums, uint8_t size, nn_far rules,
                                                           const void *how, uint8_t *out)
{
    nn_avr_activate24(sums, size, rules, *(const nn_avr_how *)how, out);
}

/* A window of a depthwise convolution, whose patches are runs of one input, for blocks of neighbouring channels. */
static inline __attribute__((always_inline)) nn_window window_of_channels(const nn_conv_i8 *layer, const nn_window *at)
{
    const uint8_t pixels = at->patch.rows;
    const nn_patch patch = {pixels, at->patches, (uint16_t)(layer->kernel_width - pixels),
                            (uint16_t)((uint16_t)(layer->width - pixels) * layer->channels)};
    return (nn_window){at->in, at->skipped, patch, 1};
}

/* All blocks at one position; an output has `inputs` in all, and `rule_bytes` between its bias and its weights. Where
 * each output has a channel of its own, `channels` says how many there are, and else it is 0. One loop for both sizes
 * of blocks, inlined wherever it stands, like all between a layer and its blocks: an Uno's stack pays for every call.
 */
static inline __attribute__((always_inline)) void each_block(const nn_window *at, uint16_t inputs, uint8_t channels,
                                                             const nn_avr_blocks *blocks, uint8_t rule_bytes,
                                                             finish_block *finish, const void *how, nn_far block,
                                                             uint8_t *out)
{
    uint8_t sums[BIAS_BYTES * NN_AVR_PATCH24_MAX];
    const uint8_t *in = at->in;
    uint8_t size = blocks->size, stride = blocks->larger_stride, left = blocks->larger;
    nn_avr_patch24 *sum_up = blocks->larger_sums;
    nn_avr_patch patch;
    patch.rows = at->patch.rows;
    patch.run = (uint8_t)at->patch.run;
    patch.in_gap = at->patch.in_gap;
    for (;;) {
        patch.skip = (uint16_t)(at->skipped * stride + (uint8_t)(rule_bytes * size));
        patch.weights_gap = (uint16_t)(at->patch.weights_gap * stride);
        patch.pixel_gap = (uint8_t)(channels - size);
        const uint16_t bytes = (uint16_t)(inputs * stride + (uint8_t)((BIAS_BYTES + rule_bytes) * size));
        do {
            sum_up(channels ? in : at->in, &patch, block, sums);
            finish(sums, size, block + (uint8_t)(BIAS_BYTES * size), how, out);
            block += bytes;
            out += size;
            if (channels)
                in += size;
            /* Or gcc works out where they will be in the end, by multiplying. */
            __asm__("" : "+r"(block), "+r"(out), "+r"(in));
        } while (--left);
        if (size < blocks->size || !blocks->smaller)
            return;
        size--;
        stride = blocks->smaller_stride;
        left = blocks->smaller;
        sum_up = blocks->smaller_sums;
    }
}

static inline __attribute__((always_inline)) void activate_blocks(const nn_window *at, uint16_t inputs,
                                                                  uint8_t channels, const nn_avr_blocks *blocks,
                                                                  nn_avr_how how, nn_far block, uint8_t *out)
{
    each_block(at, inputs, channels, blocks, MULTIPLIER_BYTES, activate, &how, block, out);
}

#endif
