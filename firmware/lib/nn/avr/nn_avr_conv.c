/* Convolutions over the assembly kernels: what nn_conv_i8.c does, several outputs at once. */
#ifdef __AVR__ /* PlatformIO hands every board all of lib/nn. */
#include "nn_avr_blocks.h"

/* nn_avr_conv's first member is what the walk goes by. */
static inline const nn_avr_blocks *blocks_of(const nn_conv_i8 *layer)
{
    return &((const nn_avr_conv *)(const void *)layer)->blocks;
}

static inline __attribute__((always_inline)) void convolve_full(const nn_conv_i8 *layer, nn_far numbers,
                                                                const nn_window *at, uint8_t is_first, uint8_t *out)
{
    const uint16_t inputs = (uint16_t)((uint16_t)(layer->kernel * layer->kernel_width) * layer->channels);
    activate_blocks(at, inputs, 0, blocks_of(layer), how_of(layer->shift, layer->top, is_first), numbers, out);
}

static inline __attribute__((always_inline)) void convolve_channels(const nn_conv_i8 *layer, nn_far numbers,
                                                                    const nn_window *at, uint8_t is_first, uint8_t *out)
{
    const nn_window all = window_of_channels(layer, at);
    activate_blocks(&all, (uint16_t)(layer->kernel * layer->kernel_width), layer->channels, blocks_of(layer),
                    how_of(layer->shift, layer->top, is_first), numbers, out);
}

static __attribute__((noinline)) void convolve(const nn_conv_i8 *layer, nn_far numbers, const nn_window *at,
                                               uint8_t is_first, uint8_t *out)
{
    convolve_full(layer, numbers, at, is_first, out);
}

static __attribute__((noinline)) void convolve_depth(const nn_conv_i8 *layer, nn_far numbers, const nn_window *at,
                                                     uint8_t is_first, uint8_t *out)
{
    convolve_channels(layer, numbers, at, is_first, out);
}

static __attribute__((noinline)) void convolve_either(const nn_conv_i8 *layer, nn_far numbers, const nn_window *at,
                                                      uint8_t is_first, uint8_t *out)
{
    if (layer->group_inputs == layer->channels)
        convolve_full(layer, numbers, at, is_first, out);
    else
        convolve_channels(layer, numbers, at, is_first, out);
}

static inline __attribute__((always_inline)) void run(const nn_avr_conv *stage, nn_far numbers, const uint8_t *in,
                                                      uint8_t *out, nn_at_position at_position)
{
    nn_avr_conv copy;
    nn_walk_load(&copy.layer, stage, sizeof copy);
    nn_walk(&copy.layer, numbers, in, out, at_position);
}

static inline __attribute__((always_inline)) void run_pair(const nn_avr_conv *first, const nn_avr_conv *second,
                                                           nn_far numbers, const uint8_t *in, uint8_t *between,
                                                           uint8_t *out, nn_at_position at_position)
{
    const nn_pair stages = {first, second, sizeof(nn_avr_conv)};
    nn_avr_conv copy;
    nn_walk_pair(&stages, &copy.layer, numbers, in, between, out, at_position);
}

/* As nn_conv_i8_run: one caller of the walk, however many layers there are. */
__attribute__((noinline)) void nn_avr_conv_run(const nn_avr_conv *stage, nn_far numbers, const uint8_t *in,
                                               uint8_t *out)
{
    run(stage, numbers, in, out, convolve);
}

void nn_avr_conv_pair(const nn_avr_conv *first, const nn_avr_conv *second, nn_far numbers, const uint8_t *in,
                      uint8_t *between, uint8_t *out)
{
    run_pair(first, second, numbers, in, between, out, convolve);
}

__attribute__((noinline)) void nn_avr_depth_run(const nn_avr_conv *stage, nn_far numbers, const uint8_t *in,
                                                uint8_t *out)
{
    run(stage, numbers, in, out, convolve_depth);
}

void nn_avr_depth_pair(const nn_avr_conv *first, const nn_avr_conv *second, nn_far numbers, const uint8_t *in,
                       uint8_t *between, uint8_t *out)
{
    run_pair(first, second, numbers, in, between, out, convolve_either);
}

#endif
