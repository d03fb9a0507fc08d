/* A hand-written stand-in for what `host export` renders: 4x4 images, 4 features, 3 hidden neurons, 3 classes.
 *
 * firmware/lib/app needs of model.h: MODEL_HEIGHT, MODEL_WIDTH (both u8), MODEL_CLASSES (u8), MODEL_FORMAT (u8:
 * 0 float32, 1 float16, 2 int8, 3 int4, 4 ternary), MODEL_HASH (a brace list of eight bytes), MODEL_ARENA_BYTES (> 0),
 * MODEL_MARKS (how many steps call NN_MARK, where MODEL_PROFILE is defined; else 0).
 * And of model_net.h, which app_net.c alone includes: `static const <type> model_rom NN_ROM`, one object without
 * padding whose CRC-32 READY reports, and
 * `static uint8_t model_infer(const uint8_t *image, uint8_t *arena, void *scores)`, where image has HEIGHT x WIDTH u8
 * and stays untouched, arena has MODEL_ARENA_BYTES aligned to 4, and scores is int32_t[MODEL_CLASSES] or
 * float[MODEL_CLASSES]. */
#ifndef MODEL_H
#define MODEL_H

#include "nn.h"

#define MODEL_HASH                                                                                                     \
    {                                                                                                                  \
        0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF                                                                 \
    }
#define MODEL_FORMAT      2
#define MODEL_HEIGHT      4
#define MODEL_WIDTH       4
#define MODEL_CLASSES     3
#define MODEL_ARENA_BYTES 16
#if defined(MODEL_PROFILE)
#define MODEL_MARKS 2
#else
#define MODEL_MARKS 0
#endif

#endif
