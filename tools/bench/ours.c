/* Contender: what `host export` renders, whichever kernel it was asked for. */
#include "bench.h"

#define NN_MARK(step)                                                                                                  \
    do {                                                                                                               \
        if ((step) == 0)                                                                                               \
            BENCH_DENSE_STARTS();                                                                                      \
    } while (0)
#include "model_net.h"

static union {
    uint8_t bytes[MODEL_ARENA_BYTES];
    uint32_t alignment;
} arena;

static union {
    int32_t integers[MODEL_CLASSES];
    float floats[MODEL_CLASSES];
} scores;

uint8_t bench_classify(const uint8_t *input)
{
    return model_infer(input, arena.bytes, &scores);
}
