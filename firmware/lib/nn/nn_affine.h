/* The rounding of nets that TensorFlow Lite quantised. Private to the kernels. */
#ifndef NN_AFFINE_H
#define NN_AFFINE_H

#include "nn_port.h"

/* Where codes end: the one that stands for 0.0, the smallest and the largest. */
typedef struct {
    uint8_t zero;
    uint8_t low;
    uint8_t high;
} nn_affine_range;

/* Bytes of a rule in flash: multiplier i32, exponent i8. */
#define NN_AFFINE_RULE_BYTES 5u

/* clamp(zero + sum * multiplier / 2^31 * 2^exponent, low, high), rounded after the product and again after a shift to
 * the right, by the rule at `rule`. */
uint8_t nn_affine_code(int32_t sum, nn_far rule, const nn_affine_range *range);

/* Codes that stand at the beginning of `scores` to scores, each in four bytes, from the last one on. */
static inline void nn_affine_widen(int32_t *scores, uint8_t count)
{
    const uint8_t *codes = (const uint8_t *)scores;
    while (count--)
        scores[count] = codes[count];
}

#endif
