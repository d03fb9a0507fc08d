/* The network kernels: portable C99, no allocation, no globals, no board. Every function here has one
 * meaning, written down in docs/numerics.md; the NumPy reference in host/quantise and the assembly in avr/ give
 * the same bits. Arrays marked `rom` live in flash on AVR and are read through nn_port.h.
 *
 *     static uint8_t arena[MODEL_ARENA_BYTES];
 *     nn_preconv(image, 16, 16, 255, features, scratch);
 *     nn_dense_hidden(&layer0, NN_FAR(rom), features, hidden);
 *     nn_dense_scores(&layer1, NN_FAR(rom), hidden, scores);
 *     uint8_t digit = nn_argmax_i32(scores, 10);
 */
#ifndef NN_H
#define NN_H

#include <stdint.h>

#include "nn_port.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever a rendered model made for an older core would compute something else. */
#define NN_ABI 1

/* What a call or a kernel is told of its stage lies in flash (rom), as one of the descriptions below. A rendered model
 * lists them: `bytes` of each are numbers, in the order of its fields and little-endian, and what comes behind is
 * padding or addresses of routines. */
typedef struct {
    const void *at;
    uint8_t bytes;
} nn_description;

/* The fixed front end: zero border of 1, [1 2 1; 2 4 2; 1 2 1], 2x2 max-pool, min-max to 0..levels.
 * image: height*width u8, row-major; both even, 4..64. levels: 255 or 63.
 * features: (height/2)*(width/2) u8. pooled: scratch, as many u16; may be the features' own memory.
 * A constant image gives all zeros. */
void nn_preconv(const uint8_t *image, uint8_t height, uint8_t width, uint8_t levels, uint8_t *features,
                uint16_t *pooled);

/* From where a rendered model takes what it gives nn_preconv. */
typedef struct {
    uint8_t height;
    uint8_t width;
    uint8_t levels;
} nn_front_end;

float nn_half_to_float(uint16_t half);

/* Stages of integers. Maps are u8 (row, column, channel), an image of several channels included. Descriptions lie in
 * flash (rom), and so do a stage's numbers, `rows` bytes behind `numbers`: a row for each output, little-endian and
 * without holes, bias i32, multiplier u16, weights where the scores' rows have no multiplier. Weights are i8, or for
 * the `packed` functions `bits` wide: 4 or 2, each plus 2^(bits-1), as many in a byte as fit, the first one lowest, a
 * row beginning on a byte. An activation is clamp((sum * multiplier + 2^(shift-1)) >> shift, 0, top). The exporter
 * proves that every sum fits int32_t.
 *
 * `out` may overlap `in` as the exporter lays it out: output rows are written one by one, from the last if `backward`,
 * and each only over inputs that neither it nor a later one needs. */

/* Convolution with zero padding, ReLU and max-pool in one pass. Output o sees channels o / group_outputs * group_inputs
 * and on, group_inputs of them; weight (i, j, c) of its row, which meets the input `i` rows and `j` columns from the
 * kernel's upper left and is of the c-th of these channels, is number (i * kernel_width + j) * group_inputs + c. A
 * kernel of one row makes convolutions of one dimension.
 *
 * There is padding on the other two sides as far as out_height and out_width reach. At least one row and one column of
 * the kernel lie inside the input at every position. */
typedef struct {
    uint32_t rows;
    uint8_t height; /* of the input */
    uint8_t width;
    uint8_t channels;
    uint8_t kernel;       /* rows of the kernel */
    uint8_t stride;       /* rows from one position to the next */
    uint8_t padding;      /* rows of zeros above the input */
    uint8_t pool;         /* rows of the max-pool's windows; 1: none */
    uint8_t kernel_width; /* the same in columns; 0: the kernel, the stride, the padding and the pool are square */
    uint8_t stride_width;
    uint8_t padding_left;
    uint8_t pool_width;
    uint8_t group_inputs;  /* channels that an output sees */
    uint8_t group_outputs; /* outputs that see the same channels */
    uint8_t out_height;    /* after the pool */
    uint8_t out_width;
    uint8_t outputs;
    uint8_t shift; /* 16 or 24 */
    uint8_t backward;
    uint8_t bits; /* of a weight */
    uint8_t top;  /* the largest activation; 0: 255 */
} nn_conv_i8;

void nn_conv_i8_run(const nn_conv_i8 *stage, nn_far numbers, const uint8_t *in, uint8_t *out);
void nn_conv_packed_run(const nn_conv_i8 *stage, nn_far numbers, const uint8_t *in, uint8_t *out);

/* Two convolutions in a row without the whole map between them: `between` holds as many of its rows as the second
 * kernel has. Neither may be `backward`. `out` begins behind `between`, which an input row that is still needed never
 * overlaps. */
void nn_conv_i8_pair(const nn_conv_i8 *first, const nn_conv_i8 *second, nn_far numbers, const uint8_t *in,
                     uint8_t *between, uint8_t *out);
void nn_conv_packed_pair(const nn_conv_i8 *first, const nn_conv_i8 *second, nn_far numbers, const uint8_t *in,
                         uint8_t *between, uint8_t *out);

/* Fully connected, over a whole map as it lies in memory: a row's weights are (row, column, channel). */
typedef struct {
    uint32_t rows;
    uint16_t inputs;
    uint8_t outputs;
    uint8_t shift; /* 16 or 24 */
    uint8_t bits;  /* of a weight */
    uint8_t top;   /* the largest activation; 0: 255 */
} nn_dense;

void nn_dense_hidden(const nn_dense *stage, nn_far numbers, const uint8_t *in, uint8_t *out);
void nn_dense_scores(const nn_dense *stage, nn_far numbers, const uint8_t *in, int32_t *out);
void nn_dense_packed_hidden(const nn_dense *stage, nn_far numbers, const uint8_t *in, uint8_t *out);
void nn_dense_packed_scores(const nn_dense *stage, nn_far numbers, const uint8_t *in, int32_t *out);

/* Stages of nets that TensorFlow Lite quantised. Codes are u8, its int8 ones plus 128, and one of them stands for 0.0.
 * Weights are i8; into biases went minus that code of the inputs times all weights. A sum becomes a code as
 * clamp(zero + sum * multiplier / 2^31 * 2^exponent, low, high), rounded twice: docs/numerics.md. */

/* As nn_conv_i8, but that what lies outside the map counts as 0.0. A row: bias i32, the bias i32 that no zero code has
 * gone into, multiplier i32, exponent i8, weights. `shift` and `bits` do not count. */
typedef struct {
    nn_conv_i8 conv;
    uint8_t in_zero; /* the inputs' code of 0.0 */
    uint8_t zero;    /* the outputs' */
    uint8_t low;
} nn_conv_affine;

void nn_conv_affine_run(const nn_conv_affine *stage, nn_far numbers, const uint8_t *in, uint8_t *out);
void nn_conv_affine_pair(const nn_conv_affine *first, const nn_conv_affine *second, nn_far numbers, const uint8_t *in,
                         uint8_t *between, uint8_t *out);

/* As nn_dense. A row: bias i32, multiplier i32, exponent i8, weights. Scores are codes. */
typedef struct {
    uint32_t rows;
    uint16_t inputs;
    uint8_t outputs;
    uint8_t zero;
    uint8_t low;
    uint8_t high;
} nn_dense_affine;

void nn_dense_affine_hidden(const nn_dense_affine *stage, nn_far numbers, const uint8_t *in, uint8_t *out);
void nn_dense_affine_scores(const nn_dense_affine *stage, nn_far numbers, const uint8_t *in, int32_t *out);

/* Pools over windows of size x size_width, one each `stride` rows and `stride_width` columns; those left over are
 * dropped. The mean is rounded, halves up, of at most 256 inputs. */
typedef struct {
    uint8_t width; /* of the input */
    uint8_t channels;
    uint8_t size;
    uint8_t out_height;
    uint8_t out_width;
    uint8_t backward;
    uint8_t stride;     /* 0: size, so that models rendered before there was a stride stay right */
    uint8_t size_width; /* 0: windows and strides are square */
    uint8_t stride_width;
} nn_pool;

void nn_pool_max(const nn_pool *stage, const uint8_t *in, uint8_t *out);
void nn_pool_average(const nn_pool *stage, const uint8_t *in, uint8_t *out);
/* Halves away from 128, which is TensorFlow Lite's code 0. */
void nn_pool_average_signed(const nn_pool *stage, const uint8_t *in, uint8_t *out);

/* Stages of floats: maps are float32 (row, column, channel), or u8 before the first layer, whose values count as they
 * are. A stage's numbers lie as those of integers do, a row for each output: bias float32, weights float32 or, for f16,
 * IEEE binary16. Each sum starts at its bias, -0 counting as +0, and takes the products in the order of its weights,
 * those outside the map left out; each product and each sum is rounded to float32. `relu`: what is not above 0 becomes
 * +0. */
typedef struct {
    uint32_t rows;
    uint8_t height; /* this and what follows as in nn_conv_i8; nothing may be left out */
    uint8_t width;
    uint8_t channels;
    uint8_t kernel;
    uint8_t stride;
    uint8_t padding;
    uint8_t pool;
    uint8_t kernel_width;
    uint8_t stride_width;
    uint8_t padding_left;
    uint8_t pool_width;
    uint8_t group_inputs;
    uint8_t group_outputs;
    uint8_t out_height;
    uint8_t out_width;
    uint8_t outputs;
    uint8_t backward;
    uint8_t relu;
} nn_conv_float;

void nn_conv_f16_u8(const nn_conv_float *stage, nn_far numbers, const uint8_t *in, float *out);
void nn_conv_f16_f32(const nn_conv_float *stage, nn_far numbers, const float *in, float *out);
void nn_conv_f32_u8(const nn_conv_float *stage, nn_far numbers, const uint8_t *in, float *out);
void nn_conv_f32_f32(const nn_conv_float *stage, nn_far numbers, const float *in, float *out);

/* `out` must not overlap `in`. */
typedef struct {
    uint32_t rows;
    uint16_t inputs;
    uint8_t outputs;
    uint8_t relu;
} nn_dense_float;

void nn_dense_f16_u8(const nn_dense_float *stage, nn_far numbers, const uint8_t *in, float *out);
void nn_dense_f16_f32(const nn_dense_float *stage, nn_far numbers, const float *in, float *out);
void nn_dense_f32_u8(const nn_dense_float *stage, nn_far numbers, const uint8_t *in, float *out);
void nn_dense_f32_f32(const nn_dense_float *stage, nn_far numbers, const float *in, float *out);

/* nn_pool with all of its fields. The mean is the sum, from +0 on row by row, over the number of inputs. */
void nn_pool_f32_max(const nn_pool *stage, const float *in, float *out);
void nn_pool_f32_average(const nn_pool *stage, const float *in, float *out);

/* The first maximum wins. */
uint8_t nn_argmax_i32(const int32_t *scores, uint8_t classes);
uint8_t nn_argmax_f32(const float *scores, uint8_t classes);

#ifdef __cplusplus
}
#endif

#endif
