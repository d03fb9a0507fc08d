/* Rendered by `host export` from model 26674f90de621ce123a63ccbd05864b8074eb3a664dbf3fb5c3b9a502ccfe9cb.
 * Preset preconv, int8, kernel asm, labels 0 1 2 3 4 5 6 7 8 9. Do not edit: export again. */
#ifndef MODEL_H
#define MODEL_H

#if !defined(__ASSEMBLER__)
#include "nn.h"

#if NN_ABI != 1
#error "model.h and the firmware's core disagree: run `host export` again"
#endif
#endif

#define MODEL_EXPORT 0x8bfa0aa9 /* the same in each file of one export */
#define MODEL_HASH {0x26, 0x67, 0x4f, 0x90, 0xde, 0x62, 0x1c, 0xe1}
#define MODEL_FORMAT 2 /* int8 */
#define MODEL_HEIGHT 16
#define MODEL_WIDTH 16
#define MODEL_CLASSES 10
#define MODEL_SCORE_STEP 0.0018415897f /* probabilities are the softmax of scores times this */

/* On an AVR the assembly takes the portable program's place, with the same bits; -DNN_PORTABLE keeps the latter. */
#if defined(__AVR__) && !defined(NN_PORTABLE)
#define MODEL_IS_ASSEMBLY 1
#else
#define MODEL_IS_ASSEMBLY 0
#endif

#if MODEL_IS_ASSEMBLY
#define MODEL_ARENA_BYTES 144
#else
#define MODEL_ARENA_BYTES 128
#endif

/* Places at which a profiling build reads the clock. */
#if !defined(MODEL_PROFILE)
#define MODEL_MARKS 0
#elif MODEL_IS_ASSEMBLY
#define MODEL_MARKS 3
#else
#define MODEL_MARKS 3
#endif

#endif
