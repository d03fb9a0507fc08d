/* How a convolution goes over its map, whatever computes its sums. Private to the kernels. */
#ifndef NN_WALK_H
#define NN_WALK_H

#include "nn.h"
#include "nn_dot.h"

/* The part of the kernel that lies inside the map at one position; what lies outside meets zeros. */
typedef struct {
    const uint8_t *in; /* the first input under it */
    uint16_t skipped;  /* weights before the first one that counts */
    nn_patch patch;    /* all of it, or one kernel row where groups leave gaps between the pixels */
    uint8_t patches;
} nn_window;

/* Writes all outputs of one position, or the larger of what is there unless `is_first`. */
typedef void (*nn_at_position)(const nn_conv_i8 *layer, nn_far numbers, const nn_window *at, uint8_t is_first,
                               uint8_t *out);

/* Copies a description of `bytes` that begins with an nn_conv_i8 from flash, and fills in what it may leave out. */
void nn_walk_load(nn_conv_i8 *layer, const void *stage, uint8_t bytes);

/* Calls `at_position` for each position of the kernel, row by row, with `numbers` plus the layer's own offset. */
void nn_walk(const nn_conv_i8 *layer, nn_far numbers, const uint8_t *in, uint8_t *out, nn_at_position at_position);

/* Two descriptions in flash, of `bytes` each, that begin with an nn_conv_i8. */
typedef struct {
    const void *first;
    const void *second;
    uint8_t bytes;
} nn_pair;

/* Two layers, as nn_conv_i8_pair says: a row of the first is computed when the second has come to need it. The one at
 * work is copied to `layer`: one at a time, since the stack is what an Uno has least of. */
void nn_walk_pair(const nn_pair *stages, nn_conv_i8 *layer, nn_far numbers, const uint8_t *in, uint8_t *between,
                  uint8_t *out, nn_at_position at_position);

#endif
