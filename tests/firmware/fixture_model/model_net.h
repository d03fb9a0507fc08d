/* See model.h. tests/firmware/test_app.py holds the same numbers in Python. */
#ifndef MODEL_NET_H
#define MODEL_NET_H

#include "model.h"

#if !defined(NN_MARK)
#define NN_MARK(step)
#endif

typedef struct {
    int32_t bias0[3];
    int32_t bias1[3];
    int8_t weights0[3 * 4];
    int8_t weights1[3 * 3];
    uint8_t padding[3];
} model_rom_t;

static const model_rom_t model_rom NN_ROM = {
    .bias0 = {100, -200, 300},
    .bias1 = {-70000, 5, 0},
    .weights0 = {10, -20, 30, -40, 127, 127, 127, 127, -1, 2, -3, 4},
    .weights1 = {127, -127, 1, -5, 6, 7, 0, 3, -9},
};

static uint8_t model_infer(const uint8_t *image, uint8_t *arena, void *scores)
{
    const nn_dense_i8 hidden = {
        .weights = model_rom.weights0,
        .bias = model_rom.bias0,
        .inputs = 4,
        .outputs = 3,
        .accumulator_bits = 32,
        .multiplier = 129,
        .shift = 14,
        .levels = 255,
    };
    const nn_dense_i8 last = {
        .weights = model_rom.weights1,
        .bias = model_rom.bias1,
        .inputs = 3,
        .outputs = 3,
        .accumulator_bits = 32,
    };
    nn_preconv(image, 4, 4, 255, arena + 8, (uint16_t *)(void *)arena);
    NN_MARK(0);
    nn_dense_i8_hidden(&hidden, arena + 8, arena + 12);
    nn_dense_i8_scores(&last, arena + 12, scores);
    const uint8_t predicted = nn_argmax_i32(scores, MODEL_CLASSES);
    NN_MARK(1);
    return predicted;
}

#endif
