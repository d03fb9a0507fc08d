/* What TensorFlow Lite calls MultiplyByQuantizedMultiplier, by magnitudes: a sum's sign decides how halves of the first
 * rounding fall, and those of the second fall away from 0. */
#include "nn_affine.h"

#if defined(__AVR__)
/* Adds the product of a byte of each factor to the product's bytes from `at` on, which the carry runs through. */
#define MUL_ADD(a, b, at, more)                                                                                        \
    "mul %" a "[a], %" b "[b]\n\t"                                                                                     \
    "add " at ", r0\n\t"                                                                                               \
    "adc " more
#define CARRY(byte) "adc " byte ", %[zero]\n\t"
#define LOW(byte)   "%" byte "[low]"
#define HIGH(byte)  "%" byte "[high]"
/* From the third byte of the product that a sum at `at` may carry into. */
#define CARRY_7 CARRY(HIGH("D"))
#define CARRY_6 CARRY(HIGH("C")) CARRY_7
#define CARRY_5 CARRY(HIGH("B")) CARRY_6
#define CARRY_4 CARRY(HIGH("A")) CARRY_5
#define CARRY_3 CARRY(LOW("D")) CARRY_4

/* a * b: its upper half, and its lower one to `lower`. 110 cycles; avr-gcc's own takes several hundred. */
static inline uint32_t product(uint32_t a, uint32_t b, uint32_t *lower)
{
    uint32_t high, low;
    uint8_t zero;
    __asm__("mul %A[a], %A[b]\n\t"
            "movw %A[low], r0\n\t"
            "mul %B[a], %B[b]\n\t"
            "movw %C[low], r0\n\t"
            "mul %C[a], %C[b]\n\t"
            "movw %A[high], r0\n\t"
            "mul %D[a], %D[b]\n\t"
            "movw %C[high], r0\n\t"
            "clr %[zero]\n\t" MUL_ADD("A", "B", LOW("B"), LOW("C") ", r1\n\t")
                CARRY_3 MUL_ADD("B", "A", LOW("B"), LOW("C") ", r1\n\t")
                    CARRY_3 MUL_ADD("A", "C", LOW("C"), LOW("D") ", r1\n\t")
                        CARRY_4 MUL_ADD("C", "A", LOW("C"), LOW("D") ", r1\n\t")
                            CARRY_4 MUL_ADD("A", "D", LOW("D"), HIGH("A") ", r1\n\t")
                                CARRY_5 MUL_ADD("D", "A", LOW("D"), HIGH("A") ", r1\n\t")
                                    CARRY_5 MUL_ADD("B", "C", LOW("D"), HIGH("A") ", r1\n\t")
                                        CARRY_5 MUL_ADD("C", "B", LOW("D"), HIGH("A") ", r1\n\t")
                                            CARRY_5 MUL_ADD("B", "D", HIGH("A"), HIGH("B") ", r1\n\t")
                                                CARRY_6 MUL_ADD("D", "B", HIGH("A"), HIGH("B") ", r1\n\t")
                                                    CARRY_6 MUL_ADD("C", "D", HIGH("B"), HIGH("C") ", r1\n\t")
                                                        CARRY_7 MUL_ADD("D", "C", HIGH("B"), HIGH("C") ", r1\n\t")
                                                            CARRY_7 "clr __zero_reg__\n\t"
            : [low] "=&r"(low), [high] "=&r"(high), [zero] "=&r"(zero)
            : [a] "r"(a), [b] "r"(b)
            : "r0");
    *lower = low;
    return high;
}
#else
static inline uint32_t product(uint32_t a, uint32_t b, uint32_t *lower)
{
    const uint64_t whole = (uint64_t)a * b;
    *lower = (uint32_t)whole;
    return (uint32_t)(whole >> 32);
}
#endif

/* size / 2^bits, halves upwards. One bit at a time, as AVRs shift anyway, but a whole byte at once. */
static inline uint32_t shifted(uint32_t size, uint8_t bits)
{
    if (bits > 8) {
        size >>= 8;
        bits = (uint8_t)(bits - 8);
    }
    for (; bits > 1; bits--)
        size >>= 1;
    return (size + 1) >> 1;
}

__attribute__((noinline)) uint8_t nn_affine_code(int32_t sum, nn_far rule, const nn_affine_range *range)
{
    const uint8_t is_negative = sum < 0;
    if (is_negative && range->zero <= range->low)
        return range->low; /* as it is behind a ReLU, and half of the sums are so */
    const int8_t exponent = (int8_t)nn_far_u8(rule + 4);
    uint32_t size = is_negative ? (uint32_t)0 - (uint32_t)sum : (uint32_t)sum;
    for (int8_t left = exponent; left > 0; left--)
        size <<= 1;
    const uint32_t half = is_negative ? 0x3FFFFFFFUL : 0x40000000UL;
    uint32_t low;
    uint32_t high = product(size, (uint32_t)nn_far_i32(rule), &low);
    low += half;
    if (low < half)
        high++;
    size = high << 1 | low >> 31;
    if (exponent < 0)
        size = shifted(size, (uint8_t)-exponent);
    const uint8_t held = size > 255 ? 255 : (uint8_t)size, zero = range->zero, above = (uint8_t)(255 - zero);
    uint8_t code;
    if (is_negative)
        code = held > zero ? 0 : (uint8_t)(zero - held);
    else
        code = held > above ? 255 : (uint8_t)(zero + held);
    if (code < range->low)
        return range->low;
    return code > range->high ? range->high : code;
}
