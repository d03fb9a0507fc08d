/* The two steps that every layer with rows (nn.h) is made of. Private to the kernels. */
#ifndef NN_DOT_H
#define NN_DOT_H

#include "nn_port.h"

/* Equally long runs of inputs and of weights; each run is contiguous, and the next one begins a gap behind it. */
typedef struct {
    uint16_t run;
    uint8_t rows; /* at least 1 */
    uint16_t weights_gap;
    uint16_t in_gap;
} nn_patch;

/* sum + the products of all int8 weights and u8 inputs of a patch. */
int32_t nn_patch_sum(const nn_patch *patch, nn_far weights, const uint8_t *in, int32_t sum);

/* clamp((sum * multiplier + 2^(shift-1)) >> shift, 0, 255) for shift 16 or 24. */
uint8_t nn_activation(int32_t sum, uint16_t multiplier, uint8_t shift);

#endif
