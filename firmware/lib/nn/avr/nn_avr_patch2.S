/* nn_avr_patch24 for weights of 2 bits, four in a byte: nn_avr_patch.h. Exact where the final sums fit 18 bits.
 *
 * block, in flash: int24 start[B], `skip` bytes of no interest, then (B + 3) / 4 bytes for each input. Of the outputs in
 * a byte, start[j] = 4^j * bias[j] + start[j + 1].
 *
 * Cycles         as nn_avr_patch24, but each input > 0: 11 and for each byte 2 + 6 for each weight in it; and once up
 *                to 70 */
#ifdef __AVR__ /* PlatformIO hands every board all of lib/nn. */
#define PATCH_BITS 2
#include "nn_avr_patch.h"

PATCH nn_avr_patch2_1, 1
PATCH nn_avr_patch2_2, 2
PATCH nn_avr_patch2_3, 3
PATCH nn_avr_patch2_4, 4
PATCH nn_avr_patch2_5, 5
PATCH nn_avr_patch2_6, 6

#endif
