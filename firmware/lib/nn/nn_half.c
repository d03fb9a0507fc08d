/* IEEE binary16 to float32 in integer arithmetic, because AVR has neither. Exact for every pattern: each half,
 * subnormals included, is a normal float32. All shifts are 16 bits wide; AVR shifts one bit at a time. */
#include "nn.h"

/* The difference of the exponents' biases, where the exponent stands in a float's upper half. */
#define REBIAS     ((127u - 15u) << 7)
#define HIDDEN_BIT 0x0400u

float nn_half_to_float(uint16_t half)
{
    union {
        uint32_t bits;
        float value;
    } out;
    const uint16_t sign = half & 0x8000u;
    uint16_t rest = half & 0x7FFFu;
    uint16_t rebias = REBIAS;

    if (rest >= 0x7C00u) {
        rebias = 2 * REBIAS; /* 31 becomes 255: infinity, or NaN with its payload */
    } else if (rest < HIDDEN_BIT) {
        if (rest == 0) {
            out.bits = (uint32_t)sign << 16;
            return out.value;
        }
        /* A subnormal is fraction * 2^-24: move its first one to the hidden bit, whose exponent is then 1 or less. */
        rebias += 1u << 7;
        while (rest < HIDDEN_BIT) {
            rest = (uint16_t)(rest << 1);
            rebias = (uint16_t)(rebias - (1u << 7));
        }
        rest &= HIDDEN_BIT - 1u;
    }
    const uint16_t upper = (uint16_t)(sign | ((rest >> 3) + rebias));
    out.bits = (uint32_t)upper << 16 | (uint16_t)(rest << 13);
    return out.value;
}
