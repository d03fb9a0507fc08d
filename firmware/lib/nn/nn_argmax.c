/* The class with the largest score; the first one wins a tie. */
#include "nn.h"

uint8_t nn_argmax_i32(const int32_t *scores, uint8_t classes)
{
    uint8_t best = 0;
    for (uint8_t i = 1; i < classes; i++) {
        if (scores[i] > scores[best])
            best = i;
    }
    return best;
}

uint8_t nn_argmax_f32(const float *scores, uint8_t classes)
{
    uint8_t best = 0;
    for (uint8_t i = 1; i < classes; i++) {
        if (scores[i] > scores[best])
            best = i;
    }
    return best;
}
