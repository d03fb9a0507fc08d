/* void nn_avr_depth24_B(const uint8_t *in, const nn_avr_patch *patch, nn_far block, uint8_t *sums);   B = 1..6
 *
 * B neighbouring channels, each with weights of its own: sums[c], three bytes each = bias[c] + sum over the patch's pixels
 * of weight[i][c] * in[i][c], exact where the final sum fits 24 bits. `in` is the first of these channels in the first
 * pixel; behind the B channels of a pixel there are `pixel_gap` bytes, and behind the last one of a row `in_gap` more.
 * block, in flash: int24 bias[B], `skip` bytes of no interest, then int8 weights[i][B], with `weights_gap` bytes between
 * the rows of the patch.
 *
 * Weights are signed here: MULSU leaves the product's sign in the carry, and an offset would cost a sum of inputs for each
 * channel (7 cycles a product instead of 6). Nor is an input tested for zero: each is used once, so that the test would
 * cost 2 cycles and save 3.
 *
 * Registers      r2..r19 sums (in threes)    r20 weight, product's sign    r21 input    r22 left of the row
 *                r23 rows left    r24 pixel_gap    r25 = 0    r0, r1 product    X inputs    Y patch    Z block
 * Stack          20 bytes
 * Cycles         98 + 15 B, each row 17, each pixel 5 + 11 B (call from C included); where flash is far 1 more and 3 for
 *                each row */
#ifdef __AVR__ /* PlatformIO hands every board all of lib/nn. */
#include "nn_avr_patch_call.h"

#define WEIGHT 20
#define INPUT 21
#define LEFT 22
#define ROWS 23
#define GAP 24

.macro MULTIPLY_ADD sum
    LOAD WEIGHT, Z+
    ld INPUT, X+
    mulsu WEIGHT, INPUT
    sbc WEIGHT, WEIGHT ; 0, or -1 where the product is negative
    add \sum, r0
    adc \sum + 1, r1
    adc \sum + 2, WEIGHT
.endm

.macro DEPTH24 channels
FUNCTION nn_avr_depth24_\channels
    ENTER_PATCH
    clr ZERO
    EACH_SUM LOAD_BIAS, \channels
    ldd INPUT, Y + 0
    ldd LEFT, Y + 1
    SKIP INPUT, LEFT
    ldd ROWS, Y + 2
    ldd GAP, Y + 8
1:  ldd LEFT, Y + 3
2:  EACH_SUM MULTIPLY_ADD, \channels
    add r26, GAP
    adc r27, ZERO
    dec LEFT
    brne 2b
    dec ROWS
    breq 3f
    ldd INPUT, Y + 6
    ldd LEFT, Y + 7
    add r26, INPUT
    adc r27, LEFT
    ldd INPUT, Y + 4
    ldd LEFT, Y + 5
    SKIP INPUT, LEFT
    rjmp 1b
3:  pop r27
    pop r26
    LEAVE_PATCH \channels
END_FUNCTION nn_avr_depth24_\channels
.endm

DEPTH24 1
DEPTH24 2
DEPTH24 3
DEPTH24 4
DEPTH24 5
DEPTH24 6

#endif
