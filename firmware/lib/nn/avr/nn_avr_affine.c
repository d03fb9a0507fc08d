/* Layers of imported nets over the assembly: what nn_conv_affine.c and nn_dense_affine.c do, several outputs at once.
 */
#ifdef __AVR__ /* PlatformIO hands every board all of lib/nn. */
#include <string.h>

#include "../nn_affine.h"
#include "nn_avr_blocks.h"

typedef struct {
    nn_affine_range range;
    uint8_t is_max; /* of the code and of what is there */
} affine_how;

/* Sums of three bytes to codes, `how` an affine_how. Not inlined, for the stack's sake. */
__attribute__((noinline)) void nn_avr_affine_codes(const uint8_t *sums, uint8_t size, nn_far rules, const void *how,
                                                   uint8_t *out)
{
    affine_how held = *(const affine_how *)how;
    for (; size; size--) {
        const uint16_t low = (uint16_t)(sums[0] | sums[1] << 8);
        const int32_t sum = (int32_t)((uint32_t)(int32_t)(int8_t)sums[2] << 16 | low);
        if (held.is_max)
            held.range.low = *out;
        *out++ = nn_affine_code(sum, rules, &held.range);
        rules += NN_AFFINE_RULE_BYTES;
        sums += BIAS_BYTES;
    }
}

/* The inputs of a window that reaches outside the map, with the code of 0.0 where nothing is. */
static void gather(const nn_conv_i8 *conv, uint8_t zero, const nn_window *at, uint16_t inputs, uint8_t *to)
{
    const uint8_t *from = at->in;
    memset(to, zero, inputs);
    to += at->skipped;
    for (uint8_t row = at->patch.rows; row; row--) {
        memcpy(to, from, at->patch.run);
        to += (uint16_t)(conv->kernel_width * conv->channels);
        from += (uint16_t)(conv->width * conv->channels);
    }
}

static __attribute__((noinline)) void convolve(const nn_conv_i8 *conv, nn_far numbers, const nn_window *at,
                                               uint8_t is_first, uint8_t *out)
{
    const nn_avr_affine_conv *stage = (const nn_avr_affine_conv *)(const void *)conv; /* as the walk was given it */
    const affine_how how = {{stage->layer.zero, stage->layer.low, conv->top}, !is_first};
    const uint8_t is_depthwise = conv->group_inputs != conv->channels;
    uint16_t inputs = (uint16_t)((uint16_t)(conv->kernel * conv->kernel_width) * conv->group_inputs);
    uint8_t gathered[NN_AVR_AFFINE_EDGE_MAX];
    nn_window window = is_depthwise ? window_of_channels(conv, at) : *at;
    if (stage->layer.in_zero && (uint16_t)(window.patch.run * window.patch.rows) != inputs) {
        gather(conv, stage->layer.in_zero, at, inputs, gathered);
        window = (nn_window){gathered, 0, {inputs, 1, 0, 0}, 1};
    }
    each_block(&window, inputs, is_depthwise ? conv->channels : 0, &stage->blocks, NN_AFFINE_RULE_BYTES,
               nn_avr_affine_codes, &how, numbers, out);
}

__attribute__((noinline)) void nn_avr_affine_conv_run(const nn_avr_affine_conv *stage, nn_far numbers,
                                                      const uint8_t *in, uint8_t *out)
{
    nn_avr_affine_conv copy;
    nn_walk_load(&copy.layer.conv, stage, sizeof copy);
    nn_walk(&copy.layer.conv, numbers, in, out, convolve);
}

void nn_avr_affine_conv_pair(const nn_avr_affine_conv *first, const nn_avr_affine_conv *second, nn_far numbers,
                             const uint8_t *in, uint8_t *between, uint8_t *out)
{
    const nn_pair stages = {first, second, sizeof(nn_avr_affine_conv)};
    nn_avr_affine_conv copy;
    nn_walk_pair(&stages, &copy.layer.conv, numbers, in, between, out, convolve);
}

void nn_avr_affine_dense_hidden(const nn_avr_affine_dense *stage, nn_far numbers, const uint8_t *in, uint8_t *out)
{
    nn_avr_affine_dense layer;
    nn_rom_copy(&layer, stage, sizeof layer);
    const affine_how how = {{layer.zero, layer.low, layer.high}, 0};
    const nn_window all = {in, 0, {layer.piece, layer.pieces, 0, 0}, 1};
    each_block(&all, (uint16_t)(layer.pieces * layer.piece), 0, &layer.blocks, NN_AFFINE_RULE_BYTES,
               nn_avr_affine_codes, &how, numbers + layer.rows, out);
}

void nn_avr_affine_dense_scores(const nn_avr_affine_dense *stage, nn_far numbers, const uint8_t *in, int32_t *out)
{
    uint8_t outputs;
    nn_rom_copy(&outputs, &stage->outputs, 1);
    nn_avr_affine_dense_hidden(stage, numbers, in, (uint8_t *)out);
    nn_affine_widen(out, outputs);
}

#endif
