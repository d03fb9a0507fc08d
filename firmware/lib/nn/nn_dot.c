/* Where a net spends its time: sums of products, on an AVR with its multiplier's own carry.
 * 32-bit sums never wrap: the exporter's proof takes the positive and the negative terms apart, and so holds for every
 * partial sum too. */
#include "nn_dot.h"

#if defined(__AVR__)
#if defined(__AVR_HAVE_ELPM__)
/* ELPM Z+ counts RAMPZ up itself; the zero register stands for zero only after CLR. */
#define NN_DOT_LOAD  "elpm"
#define NN_DOT_BEGIN "out 0x3B, %[weight]\n\t"
#define NN_DOT_CARRY                                                                                                   \
    "in %[weight], 0x3B\n\t"                                                                                           \
    "adc %[weight], __zero_reg__\n\t"                                                                                  \
    "out 0x3B, %[weight]\n\t"
#define NN_DOT_BANK(far) ((uint8_t)((far) >> 16))
#else
#define NN_DOT_LOAD      "lpm"
#define NN_DOT_BEGIN     ""
#define NN_DOT_CARRY     ""
#define NN_DOT_BANK(far) 0
#endif
/* 12 cycles. SBC makes the product's sign byte from MULSU's carry. */
#define NN_DOT_STEP                                                                                                    \
    "ld %[input], X+\n\t" NN_DOT_LOAD " %[weight], Z+\n\t"                                                             \
    "mulsu %[weight], %[input]\n\t"                                                                                    \
    "sbc %[weight], %[weight]\n\t"                                                                                     \
    "add %A[sum], r0\n\t"                                                                                              \
    "adc %B[sum], r1\n\t"                                                                                              \
    "adc %C[sum], %[weight]\n\t"                                                                                       \
    "adc %D[sum], %[weight]\n\t"

/* All inputs of one run: fours, then those left; both count down to 0. */
#define NN_DOT_RUN                                                                                                     \
    "sbiw %A[fours], 0\n\t"                                                                                            \
    "breq 3f\n"                                                                                                        \
    "2:\n\t" NN_DOT_STEP NN_DOT_STEP NN_DOT_STEP NN_DOT_STEP "sbiw %A[fours], 1\n\t"                                   \
    "brne 2b\n"                                                                                                        \
    "3:\n\t"                                                                                                           \
    "tst %[left]\n\t"                                                                                                  \
    "breq 5f\n"                                                                                                        \
    "4:\n\t" NN_DOT_STEP "dec %[left]\n\t"                                                                             \
    "brne 4b\n"                                                                                                        \
    "5:\n\t"                                                                                                           \
    "clr __zero_reg__\n\t"

__attribute__((noinline)) int32_t nn_patch_sum(const nn_patch *patch, nn_far weights, const uint8_t *in, int32_t sum)
{
    uint16_t low = (uint16_t)weights;
    uint8_t weight = NN_DOT_BANK(weights);
    uint8_t input, left;
    uint16_t fours;
    uint8_t rows = patch->rows;
    __asm__ volatile(NN_DOT_BEGIN "1:\n\t"
                                  "movw %A[fours], %A[run4]\n\t"
                                  "mov %[left], %[run1]\n\t" NN_DOT_RUN "add r26, %A[in_gap]\n\t"
                                  "adc r27, %B[in_gap]\n\t"
                                  "add r30, %A[weights_gap]\n\t"
                                  "adc r31, %B[weights_gap]\n\t" NN_DOT_CARRY "dec %[rows]\n\t"
                                  "brne 1b\n\t"
                     : [sum] "+r"(sum), [rows] "+r"(rows), [weight] "+a"(weight), [input] "=&a"(input),
                       [left] "=&r"(left), [fours] "=&w"(fours), "+x"(in), "+z"(low)
                     : [run4] "r"((uint16_t)(patch->run / 4)), [run1] "r"((uint8_t)(patch->run % 4)),
                       [in_gap] "r"(patch->in_gap), [weights_gap] "r"(patch->weights_gap)
                     : "r0", "memory");
    return sum;
}

__attribute__((noinline)) int32_t nn_run_sum(uint16_t run, nn_far weights, const uint8_t *in, int32_t sum)
{
    uint16_t low = (uint16_t)weights;
    uint8_t weight = NN_DOT_BANK(weights);
    uint8_t input, left = run % 4;
    uint16_t fours = run / 4;
    __asm__ volatile(
        NN_DOT_BEGIN NN_DOT_RUN
        : [sum] "+r"(sum), [weight] "+a"(weight), [input] "=&a"(input), [left] "+r"(left), [fours] "+w"(fours),
          "+x"(in), "+z"(low)
        :
        : "r0", "memory");
    return sum;
}
#else
int32_t nn_patch_sum(const nn_patch *patch, nn_far weights, const uint8_t *in, int32_t sum)
{
    for (uint8_t row = patch->rows; row; row--) {
        sum = nn_run_sum(patch->run, weights, in, sum);
        weights += (uint16_t)(patch->run + patch->weights_gap);
        in += (uint16_t)(patch->run + patch->in_gap);
    }
    return sum;
}

int32_t nn_run_sum(uint16_t run, nn_far weights, const uint8_t *in, int32_t sum)
{
    for (; run; run--)
        sum += (int8_t)nn_far_u8(weights++) * *in++;
    return sum;
}
#endif

uint8_t nn_activation(int32_t sum, uint16_t multiplier, uint8_t shift, uint8_t top)
{
    if (sum <= 0)
        return 0;
    /* In 32 bits. With 24 the bits below 2^16 cannot reach the rounding bit: the lower product counts for its upper
     * half alone. */
    const uint32_t low = (uint32_t)(uint16_t)sum * multiplier;
    const uint32_t high = (uint32_t)(uint16_t)(sum >> 16) * multiplier;
    const uint32_t scaled = shift == 24 ? (high + (low >> 16) + 0x80u) >> 8 : high + ((low + 0x8000u) >> 16);
    return scaled > top ? top : (uint8_t)scaled;
}
