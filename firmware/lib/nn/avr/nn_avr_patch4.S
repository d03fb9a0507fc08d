/* nn_avr_patch24 for weights of 4 bits, two in a byte: nn_avr_patch.h. Exact where the final sums fit 20 bits.
 *
 * block, in flash: int24 start[B], `skip` bytes of no interest, then (B + 1) / 2 bytes for each input. Of two outputs in
 * a byte, start[1] = 16 * bias[1] and start[0] = bias[0] + start[1].
 *
 * Cycles         as nn_avr_patch24, but each input > 0: 11 + 14 for each byte, or 8 where it holds one weight; and once
 *                4, and if B > 1 12 more and 15 for each full byte */
#ifdef __AVR__ /* PlatformIO hands every board all of lib/nn. */
#define PATCH_BITS 4
#include "nn_avr_patch.h"

PATCH nn_avr_patch4_1, 1
PATCH nn_avr_patch4_2, 2
PATCH nn_avr_patch4_3, 3
PATCH nn_avr_patch4_4, 4
PATCH nn_avr_patch4_5, 5
PATCH nn_avr_patch4_6, 6

#endif
