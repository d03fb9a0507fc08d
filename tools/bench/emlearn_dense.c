/* Contender: emlearn's dense layers, as its converter writes them and its installed headers run them; emlearn has no
 * convolution. The features become floats before the dense part starts, so that this costs it nothing. */
#include "bench.h"
#include "emlearn_net.h"

static float features[BENCH_INPUT_BYTES];

uint8_t bench_classify(const uint8_t *input)
{
    for (uint16_t i = 0; i < BENCH_INPUT_BYTES; i++)
        features[i] = (float)input[i];
    BENCH_DENSE_STARTS();
    return (uint8_t)emlearn_net_predict(features, BENCH_INPUT_BYTES);
}
