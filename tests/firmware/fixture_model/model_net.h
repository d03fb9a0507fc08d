/* See model.h. tests/firmware/test_app.py holds the same numbers in Python. */
#ifndef MODEL_NET_H
#define MODEL_NET_H

#include "model.h"

#if !defined(NN_MARK)
#define NN_MARK(step)
#endif

/* Rows as nn.h has them: bias, multiplier but for the scores, weights. */
static const uint8_t model_rom[] NN_ROM = {
    100, 0, 0,   0, 4,   2,   10,  236, 30,  216, 56, 255, 255, 255, 4, 2,   127, 127, 127, 127, 44, 1, 0, 0, 4,   2,
    255, 2, 253, 4, 144, 238, 254, 255, 127, 129, 1,  5,   0,   0,   0, 251, 6,   7,   0,   0,   0,  0, 0, 3, 247,
};

static const nn_dense hidden NN_ROM = {
    .rows = 0,
    .inputs = 4,
    .outputs = 3,
    .shift = 16,
    .bits = 8,
};

static const nn_dense last NN_ROM = {
    .rows = 30,
    .inputs = 3,
    .outputs = 3,
    .bits = 8,
};

static uint8_t model_infer(const uint8_t *image, uint8_t *arena, void *scores)
{
    const nn_far numbers = NN_FAR(model_rom);
    nn_preconv(image, 4, 4, 255, arena + 8, (uint16_t *)(void *)arena);
    NN_MARK(0);
    nn_dense_hidden(&hidden, numbers, arena + 8, arena + 12);
    nn_dense_scores(&last, numbers, arena + 12, scores);
    const uint8_t predicted = nn_argmax_i32(scores, MODEL_CLASSES);
    NN_MARK(1);
    return predicted;
}

#endif
