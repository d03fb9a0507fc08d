/* The two steps that every layer with rows (nn.h) is made of. Private to the kernels. */
#ifndef NN_DOT_H
#define NN_DOT_H

#include "nn_port.h"

#if defined(__AVR__)
#if defined(__AVR_HAVE_ELPM__)
#define NN_DOT_LOAD "elpm"
#define NN_DOT_BANK "out 0x3B, %[weight]\n\t" /* RAMPZ, which ELPM Z+ then counts up itself */
#else
#define NN_DOT_LOAD "lpm"
#define NN_DOT_BANK
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
#endif

/* sum + the products of `count` int8 weights and u8 inputs, both contiguous. */
static inline int32_t nn_dot(nn_far weights, const uint8_t *in, uint16_t count, int32_t sum)
{
#if defined(__AVR__)
    uint16_t low = (uint16_t)weights;
    uint8_t input;
#if defined(__AVR_HAVE_ELPM__)
    uint8_t weight = (uint8_t)(weights >> 16);
#else
    uint8_t weight = 0;
#endif
    __asm__ volatile(NN_DOT_BANK "rjmp 2f\n"
                                 "1:\n\t" NN_DOT_STEP NN_DOT_STEP NN_DOT_STEP NN_DOT_STEP "2:\n\t"
                                 "subi %A[count], 4\n\t"
                                 "sbci %B[count], 0\n\t"
                                 "brcc 1b\n\t"
                                 "subi %A[count], -4\n\t"
                                 "breq 4f\n"
                                 "3:\n\t" NN_DOT_STEP "dec %A[count]\n\t"
                                 "brne 3b\n"
                                 "4:\n\t"
                                 "clr __zero_reg__\n\t"
                     : [sum] "+r"(sum), [count] "+d"(count), [weight] "+a"(weight), [input] "=&a"(input), "+x"(in),
                       "+z"(low)
                     :
                     : "r0", "memory");
    return sum;
#else
    for (; count; count--)
        sum += (int8_t)nn_far_u8(weights++) * *in++;
    return sum;
#endif
}

/* clamp((sum * multiplier + 2^(shift-1)) >> shift, 0, 255) for shift 16 or 24, in 32 bits. With 24 the bits below 2^16
 * cannot reach the rounding bit, so the lower product's upper half is all that counts. */
static inline uint8_t nn_activation(int32_t sum, uint16_t multiplier, uint8_t shift)
{
    if (sum <= 0)
        return 0;
    const uint32_t low = (uint32_t)(uint16_t)sum * multiplier;
    const uint32_t high = (uint32_t)(uint16_t)(sum >> 16) * multiplier;
    const uint32_t scaled = shift == 24 ? (high + (low >> 16) + 0x80u) >> 8 : high + ((low + 0x8000u) >> 16);
    return scaled > 255 ? 255 : (uint8_t)scaled;
}

#endif
