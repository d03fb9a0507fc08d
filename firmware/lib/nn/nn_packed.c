/* Sums over weights of less than a byte: portable C for every machine, AVRs included, which shift by a variable in a
 * loop and divide by one in a long one. */
#include "nn_dot.h"

static inline __attribute__((always_inline)) int32_t packed_sum(const nn_patch *patch, nn_far weights, uint16_t first,
                                                                uint8_t bits, const uint8_t *in, int32_t sum)
{
    const uint8_t is_four = bits == 4;
    const uint8_t in_a_byte = is_four ? 2 : 4;
    const uint8_t field = is_four ? 0x0F : 0x03;
    const int8_t offset = is_four ? 8 : 2;
    for (uint8_t row = patch->rows; row; row--) {
        uint8_t left = in_a_byte;
        nn_far at = weights + (is_four ? first >> 1 : first >> 2);
        uint8_t byte = nn_far_u8(at++);
        for (uint8_t place = (uint8_t)(first & (in_a_byte - 1u)); place; place--) {
            byte = is_four ? byte >> 4 : byte >> 2;
            left--;
        }
        for (uint16_t i = patch->run;;) {
            sum += (int16_t)((int8_t)((byte & field) - offset) * *in++);
            if (--i == 0)
                break;
            byte = is_four ? byte >> 4 : byte >> 2;
            if (--left == 0) {
                left = in_a_byte;
                byte = nn_far_u8(at++);
            }
        }
        first = (uint16_t)(first + patch->run + patch->weights_gap);
        in += patch->in_gap;
    }
    return sum;
}

__attribute__((noinline)) int32_t nn_packed_sum(const nn_patch *patch, nn_far weights, uint16_t first, uint8_t bits,
                                                const uint8_t *in, int32_t sum)
{
    return packed_sum(patch, weights, first, bits, in, sum);
}

__attribute__((noinline)) int32_t nn_packed_run_sum(uint16_t run, nn_far weights, uint8_t bits, const uint8_t *in,
                                                    int32_t sum)
{
    const nn_patch one = {run, 1, 0, 0};
    return packed_sum(&one, weights, 0, bits, in, sum);
}
