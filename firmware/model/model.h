/* Rendered by `host export` from model 0d633ef59e7c2e8564a062d5bc7cd8617fc4f63f568ca832ce0096b08daba63c.
 * Preset preconv, int8, labels 0 1 2 3 4 5 6 7 8 9. Do not edit: export again. */
#ifndef MODEL_H
#define MODEL_H

#include "nn.h"

#if NN_ABI != 1
#error "model.h and the firmware's core disagree: run `host export` again"
#endif

#define MODEL_HASH {0x0d, 0x63, 0x3e, 0xf5, 0x9e, 0x7c, 0x2e, 0x85}
#define MODEL_FORMAT 2 /* int8 */
#define MODEL_HEIGHT 16
#define MODEL_WIDTH 16
#define MODEL_CLASSES 10
#define MODEL_ARENA_BYTES 128

#endif
