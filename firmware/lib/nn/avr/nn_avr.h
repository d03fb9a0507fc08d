/* nn.h's kernels for whole numbers in AVR assembly: bit-identical, one linker section each, so that a sketch pays for
 * what it calls. A model rendered for them (kernel `asm`) calls them directly and lays its weights out in blocks; the
 * portable path stays nn.h. The formats, the cycle formulas and the proofs stand in docs/avr-kernels.md.
 *
 *     nn_avr_preconv_16x16(image, 63, features, pooled);
 *     nn_avr_dense16_12(features, 64, model_rom.hidden_block0, sums);
 *     nn_avr_dense16_12(features, 64, model_rom.hidden_block1, sums + 12);
 *     nn_avr_requantize16(sums, 24, 200, 63, hidden);
 *     nn_avr_dense16_10(hidden, 24, model_rom.score_block0, sums);
 *     nn_avr_widen16(sums, 10, scores);
 *     uint8_t digit = nn_avr_argmax32(scores, 10);
 */
#ifndef NN_AVR_H
#define NN_AVR_H

#if defined(__AVR__)

#include <stdint.h>

#include "../nn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* nn_preconv for one image size each; other sizes take the portable one. pooled: scratch, 64 or 196 u16. */
void nn_avr_preconv_16x16(const uint8_t *image, uint8_t levels, uint8_t *features, uint16_t *pooled);
void nn_avr_preconv_28x28(const uint8_t *image, uint8_t levels, uint8_t *features, uint16_t *pooled);

/* From where a rendered model takes what it gives them. */
typedef struct {
    uint8_t levels;
} nn_avr_front_end;

/* Step 4 of the front end alone; count a multiple of 4, at most 1020; levels 63 or 255; may overwrite pooled. */
void nn_avr_normalize(uint16_t *pooled, uint16_t count, uint16_t smallest, uint16_t largest, uint8_t levels,
                      uint8_t *features);

/* One block of B outputs, B up to 12. inputs: 1..65535. block, in flash:
 * int16 bias[B], then int8 weight[inputs][B]. Sums are exact where they fit 16 bits. nn_avr_sums16 is the same with its
 * block anywhere in flash. */
typedef void nn_avr_sums16(const uint8_t *in, uint16_t inputs, nn_far block, int16_t *sums);
nn_avr_sums16 nn_avr_sums16_1, nn_avr_sums16_2, nn_avr_sums16_3, nn_avr_sums16_4, nn_avr_sums16_5, nn_avr_sums16_6,
    nn_avr_sums16_7, nn_avr_sums16_8, nn_avr_sums16_9, nn_avr_sums16_10, nn_avr_sums16_11, nn_avr_sums16_12;
#define NN_AVR_DENSE16(b)                                                                                              \
    void nn_avr_dense16_##b(const uint8_t *in, uint16_t inputs, const uint8_t *block, int16_t *sums)
NN_AVR_DENSE16(1);
NN_AVR_DENSE16(2);
NN_AVR_DENSE16(3);
NN_AVR_DENSE16(4);
NN_AVR_DENSE16(5);
NN_AVR_DENSE16(6);
NN_AVR_DENSE16(7);
NN_AVR_DENSE16(8);
NN_AVR_DENSE16(9);
NN_AVR_DENSE16(10);
NN_AVR_DENSE16(11);
NN_AVR_DENSE16(12);

/* The same with 24-bit sums, B up to 7. inputs: 1..255. block, in flash: bias[B] of three bytes each, low byte first,
 * then uint8 weight[inputs][B], each weight + 128. */
#define NN_AVR_DENSE24(b)                                                                                              \
    void nn_avr_dense24_##b(const uint8_t *in, uint16_t inputs, const uint8_t *block, int32_t *sums)
NN_AVR_DENSE24(1);
NN_AVR_DENSE24(2);
NN_AVR_DENSE24(3);
NN_AVR_DENSE24(4);
NN_AVR_DENSE24(5);
NN_AVR_DENSE24(6);
NN_AVR_DENSE24(7);

/* Blocks as those of nn_avr_dense24, anywhere in flash and of 1..65535 inputs. Sums of three bytes each, exact where
 * they fit 24 bits. */
typedef void nn_avr_sums24(const uint8_t *in, uint16_t inputs, nn_far block, uint8_t *sums);
nn_avr_sums24 nn_avr_sums24_1, nn_avr_sums24_2, nn_avr_sums24_3, nn_avr_sums24_4, nn_avr_sums24_5, nn_avr_sums24_6,
    nn_avr_sums24_7;

/* Hidden outputs at shift 16 and shift 24; a smaller shift is a larger multiplier. */
void nn_avr_requantize16(const int16_t *sums, uint8_t outputs, uint16_t multiplier, uint8_t levels, uint8_t *out);
void nn_avr_requantize24(const int32_t *sums, uint8_t outputs, uint16_t multiplier, uint8_t levels, uint8_t *out);

void nn_avr_widen16(const int16_t *sums, uint8_t outputs, int32_t *scores);
void nn_avr_widen24(const uint8_t *sums, uint8_t outputs, int32_t *scores); /* sums of three bytes each */
/* totals[i] += sums[i], where a sum of three bytes is a part of a longer one. */
void nn_avr_add24(const uint8_t *sums, uint8_t count, int32_t *totals);
uint8_t nn_avr_argmax32(const int32_t *scores, uint8_t classes);

/* One block of B outputs, B up to NN_AVR_PATCH24_MAX, over a patch of inputs, rows that need not touch.
 * Sums of three bytes each, exact where they fit 24 bits. block, in flash: int24 bias[B], `skip` bytes, then for each
 * input the weights of all outputs: a byte each, the weight + 128. nn_avr_patch4 and nn_avr_patch2 take weights of 4
 * and 2 bits and need 20 and 18; each has its own form of the biases. */
typedef struct {
    uint16_t skip;
    uint8_t rows;
    uint8_t run;          /* inputs of a row */
    uint16_t weights_gap; /* bytes between the weights of two rows */
    uint16_t in_gap;
    uint8_t pixel_gap; /* between two inputs of a row; of depthwise convolutions only, whose run counts pixels */
} nn_avr_patch;

typedef void nn_avr_patch24(const uint8_t *in, const nn_avr_patch *patch, nn_far block, uint8_t *sums);

#define NN_AVR_PATCH24_MAX 6
nn_avr_patch24 nn_avr_patch24_1, nn_avr_patch24_2, nn_avr_patch24_3, nn_avr_patch24_4, nn_avr_patch24_5,
    nn_avr_patch24_6;
nn_avr_patch24 nn_avr_patch4_1, nn_avr_patch4_2, nn_avr_patch4_3, nn_avr_patch4_4, nn_avr_patch4_5, nn_avr_patch4_6;
nn_avr_patch24 nn_avr_patch2_1, nn_avr_patch2_2, nn_avr_patch2_3, nn_avr_patch2_4, nn_avr_patch2_5, nn_avr_patch2_6;

/* Depthwise: B neighbouring channels, each summed over its own inputs. int8 weights[i][B], without an offset. */
nn_avr_patch24 nn_avr_depth24_1, nn_avr_depth24_2, nn_avr_depth24_3, nn_avr_depth24_4, nn_avr_depth24_5,
    nn_avr_depth24_6;

/* out[i] = nn_activation(sums[i], multipliers[i], shift, top); with NN_AVR_MAX, of sums of 24 bits alone, the larger of
 * that and out[i]. `out` may be `sums`, but with NN_AVR_MAX. */
#define NN_AVR_MAX     1u
#define NN_AVR_SHIFT16 2u
typedef struct {
    uint8_t flags;
    uint8_t top;
} nn_avr_how;
void nn_avr_activate24(const uint8_t *sums, uint8_t count, nn_far multipliers, nn_avr_how how, uint8_t *out);
void nn_avr_activate16(const int16_t *sums, uint8_t count, nn_far multipliers, nn_avr_how how, uint8_t *out);
void nn_avr_activate32(const int32_t *sums, uint8_t count, nn_far multipliers, nn_avr_how how, uint8_t *out);

/* From where a rendered model takes what it gives nn_avr_dense16, nn_avr_sums16 and their like for a layer. */
typedef struct {
    uint16_t inputs;
    uint16_t multiplier; /* of nn_avr_requantize16 or 24; else 0 */
    uint8_t outputs;
    uint8_t flags; /* of nn_avr_activate16 or 24; else 0 */
    uint8_t top;   /* of a hidden layer */
} nn_avr_called;

/* A layer's outputs in blocks, the larger ones first; `smaller` blocks have one output less. A block in flash:
 * int24 bias[B], uint16 multiplier[B] but for scores, weights. */
typedef struct {
    uint8_t size;
    uint8_t larger;
    uint8_t smaller;
    uint8_t larger_stride; /* bytes of weights for each input */
    uint8_t smaller_stride;
    nn_avr_patch24 *larger_sums;
    nn_avr_patch24 *smaller_sums;
} nn_avr_blocks;

/* The stages of nn.h; both in flash. */
typedef struct {
    nn_conv_i8 layer; /* one group and kernel_width * channels up to 255; or depthwise, an output for each channel */
    nn_avr_blocks blocks;
} nn_avr_conv;

typedef struct {
    uint32_t rows;  /* as in nn_dense */
    uint8_t pieces; /* pieces * piece inputs */
    uint8_t piece;
    uint8_t shift; /* 0 for scores */
    uint8_t top;   /* as in nn_dense */
    nn_avr_blocks blocks;
} nn_avr_dense;

void nn_avr_conv_run(const nn_avr_conv *stage, nn_far numbers, const uint8_t *in, uint8_t *out);
void nn_avr_conv_pair(const nn_avr_conv *first, const nn_avr_conv *second, nn_far numbers, const uint8_t *in,
                      uint8_t *between, uint8_t *out);
void nn_avr_depth_run(const nn_avr_conv *stage, nn_far numbers, const uint8_t *in, uint8_t *out);
/* Where at least one of the two is depthwise. */
void nn_avr_depth_pair(const nn_avr_conv *first, const nn_avr_conv *second, nn_far numbers, const uint8_t *in,
                       uint8_t *between, uint8_t *out);
void nn_avr_dense_hidden(const nn_avr_dense *stage, nn_far numbers, const uint8_t *in, uint8_t *out);
void nn_avr_dense_scores(const nn_avr_dense *stage, nn_far numbers, const uint8_t *in, int32_t *out);

/* A dense layer whose rows are cut into pieces, because their sums may pass what a patch kernel can hold: 24 bits, or
 * 20 and 18 with packed weights. The sum of each piece must fit, its inputs being `rows` times `run`. `numbers` has
 *     uint8 rows, uint8 run of each piece, one after the other
 *     each block: int32 bias[B]; uint16 multiplier[B], but for scores; each piece: 3 B bytes of 0, then the weights of
 *     its inputs as the patch kernel has them */
typedef struct {
    uint32_t rows;  /* as in nn_dense */
    uint8_t pieces; /* 1..255 */
    uint8_t shift;  /* 0 for scores */
    uint8_t top;    /* 1..255 */
    nn_avr_blocks blocks;
} nn_avr_long;

void nn_avr_long_hidden(const nn_avr_long *stage, nn_far numbers, const uint8_t *in, uint8_t *out);
void nn_avr_long_scores(const nn_avr_long *stage, nn_far numbers, const uint8_t *in, int32_t *out);

/* Layers of imported nets, as nn_conv_affine and nn_dense_affine. A block in flash: int24 bias[B], then for each output
 * multiplier i32 and exponent i8, then weights as nn_avr_conv's. Where the code of 0.0 is not 0, a padded convolution
 * has one group and at most NN_AVR_AFFINE_EDGE_MAX inputs. */
#define NN_AVR_AFFINE_EDGE_MAX 96

typedef struct {
    nn_conv_affine layer; /* as nn_avr_conv's */
    nn_avr_blocks blocks;
} nn_avr_affine_conv;

typedef struct {
    uint32_t rows; /* as in nn_dense */
    uint8_t pieces;
    uint8_t piece;
    uint8_t outputs;
    uint8_t zero;
    uint8_t low;
    uint8_t high;
    nn_avr_blocks blocks;
} nn_avr_affine_dense;

/* `size` sums of three bytes to codes, by the rules at `rules`; `how` is the kernels' own. */
void nn_avr_affine_codes(const uint8_t *sums, uint8_t size, nn_far rules, const void *how, uint8_t *out);
void nn_avr_affine_conv_run(const nn_avr_affine_conv *stage, nn_far numbers, const uint8_t *in, uint8_t *out);
void nn_avr_affine_conv_pair(const nn_avr_affine_conv *first, const nn_avr_affine_conv *second, nn_far numbers,
                             const uint8_t *in, uint8_t *between, uint8_t *out);
void nn_avr_affine_dense_hidden(const nn_avr_affine_dense *stage, nn_far numbers, const uint8_t *in, uint8_t *out);
void nn_avr_affine_dense_scores(const nn_avr_affine_dense *stage, nn_far numbers, const uint8_t *in, int32_t *out);

/* All channels of a pool's window: out[c] is the largest in[c], or their mean, halves up. */
typedef struct {
    uint8_t channels;
    uint8_t size;     /* rows, and pixels of a row; 1..16 */
    uint16_t row_gap; /* bytes from the end of one row to the next */
} nn_avr_window;

void nn_avr_window_max(const uint8_t *in, const nn_avr_window *window, uint8_t *out);
void nn_avr_window_mean(const uint8_t *in, const nn_avr_window *window, uint8_t *out);

/* nn_pool_max and nn_pool_average. */
void nn_avr_pool_max(const nn_pool *stage, const uint8_t *in, uint8_t *out);
void nn_avr_pool_average(const nn_pool *stage, const uint8_t *in, uint8_t *out);

#ifdef __cplusplus
}
#endif

#endif
#endif
