/* How the float layers read their numbers: rows as they lie in flash, little-endian and unaligned. Private to the
 * kernels. */
#ifndef NN_FLOAT_H
#define NN_FLOAT_H

#include <string.h>

#include "nn.h"

#define NN_FLOAT_BYTES 4u

typedef union {
    uint32_t bits;
    float value;
} nn_float_word;

static inline float nn_far_f32(nn_far at)
{
    nn_float_word word;
    word.bits = (uint32_t)nn_far_i32(at);
    return word.value;
}

/* With -0 as +0: then no sum is ever -0, and one that a product of zero is added to stays as it is. */
static inline float nn_far_bias(nn_far row)
{
    return nn_far_f32(row) + 0.0f;
}

static inline __attribute__((always_inline)) float nn_far_weight(nn_far at, uint8_t is_half)
{
    return is_half ? nn_half_to_float(nn_far_u16(at)) : nn_far_f32(at);
}

static inline __attribute__((always_inline)) uint8_t nn_weight_bytes(uint8_t is_half)
{
    return is_half ? 2 : 4;
}

static inline __attribute__((always_inline)) float nn_input(const void *in, uint16_t index, uint8_t is_u8)
{
    return is_u8 ? (float)((const uint8_t *)in)[index] : ((const float *)in)[index];
}

/* Whether an input is +0, and so adds nothing: a look at its bits, which costs an AVR less than comparing floats. */
static inline __attribute__((always_inline)) uint8_t nn_is_zero(const void *in, uint16_t index, uint8_t is_u8)
{
    uint32_t bits;
    if (is_u8)
        return ((const uint8_t *)in)[index] == 0;
    memcpy(&bits, (const float *)in + index, sizeof bits);
    return bits == 0;
}

static inline float nn_rectified(float sum, uint8_t relu)
{
    return !relu || sum > 0.0f ? sum : 0.0f;
}

#endif
