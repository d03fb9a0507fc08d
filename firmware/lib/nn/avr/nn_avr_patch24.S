/* void nn_avr_patch24_B(const uint8_t *in, const nn_avr_patch *patch, nn_far block, uint8_t *sums);   B = 1..6
 *
 * sums[o], three bytes each = bias[o] + sum over the patch's inputs of weight[i][o] * in[i], exact where the final sum
 * fits 24 bits. block, in flash: int24 bias[B], `skip` bytes of no interest, then uint8 weights[i][B], each weight + 128,
 * with `weights_gap` bytes between the rows of the patch.
 *
 * Products as in nn_avr_dense24: unsigned, and 128 * (sum of inputs) is taken off at the end.
 *
 * Cycles         124 + 18 B, each row 27, and 2 if it ends in 0; each input > 0: 11 + 8 B, each input = 0: 9 (call from
 *                C included); where flash is far 1 more for each input = 0 and 3 for each row */
#ifdef __AVR__ /* PlatformIO hands every board all of lib/nn. */
#define PATCH_BITS 8
#include "nn_avr_patch.h"

PATCH nn_avr_patch24_1, 1
PATCH nn_avr_patch24_2, 2
PATCH nn_avr_patch24_3, 3
PATCH nn_avr_patch24_4, 4
PATCH nn_avr_patch24_5, 5
PATCH nn_avr_patch24_6, 6

#endif
