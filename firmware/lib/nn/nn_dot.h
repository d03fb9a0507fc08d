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

/* sum + the products of all int8 weights and u8 inputs of a patch, and of one run. None of these sums is ever inlined,
 * and no layer shares its own with one of another kind: what a layer costs shall not depend on its neighbours, so that
 * the host can foretell it. */
int32_t nn_patch_sum(const nn_patch *patch, nn_far weights, const uint8_t *in, int32_t sum);
int32_t nn_run_sum(uint16_t run, nn_far weights, const uint8_t *in, int32_t sum);

/* The same where a byte holds two weights of 4 bits or four of 2, the first one lowest, each as the weight plus
 * 2^(bits-1). `weights` is where a row of them begins and `first` the number of the patch's first one there; the gaps
 * count weights too. Runs are not empty. */
int32_t nn_packed_sum(const nn_patch *patch, nn_far weights, uint16_t first, uint8_t bits, const uint8_t *in,
                      int32_t sum);
int32_t nn_packed_run_sum(uint16_t run, nn_far weights, uint8_t bits, const uint8_t *in, int32_t sum);

/* What at least one weight takes in flash. */
static inline uint16_t nn_packed_bytes(uint16_t weights, uint8_t bits)
{
    return (uint16_t)(((weights - 1u) >> (bits == 4 ? 1 : 2)) + 1u);
}

/* clamp((sum * multiplier + 2^(shift-1)) >> shift, 0, top) for shift 16 or 24. */
uint8_t nn_activation(int32_t sum, uint16_t multiplier, uint8_t shift, uint8_t top);

/* What a description says of the largest activation: 0 stands in those rendered before there was another one. */
static inline uint8_t nn_top(uint8_t said)
{
    return said ? said : 255;
}

#endif
