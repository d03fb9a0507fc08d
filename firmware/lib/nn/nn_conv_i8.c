/* Convolution, ReLU and max-pool of u8 maps in one pass, so that the map before the pool is never stored. */
#include "nn.h"
#include "nn_dot.h"

#define ROW_WEIGHTS_AT 6u

/* The part of the kernel that lies inside the map at one position; what lies outside meets zeros. */
typedef struct {
    const uint8_t *in; /* the first input under it */
    uint16_t skipped;  /* weights before the first one that counts */
    nn_patch patch;    /* all of it, or one kernel row where groups leave gaps between the pixels */
    uint8_t patches;
} window;

typedef struct {
    uint8_t first; /* of the kernel */
    uint8_t count;
    uint16_t at; /* of the map */
} span;

static span inside(const nn_conv_i8 *layer, uint16_t position, uint8_t side)
{
    const int16_t start = (int16_t)(position * layer->stride - layer->padding);
    const uint8_t first = start < 0 ? (uint8_t)-start : 0;
    const uint16_t at = (uint16_t)(start + first);
    const uint16_t room = (uint16_t)(side - at);
    const uint8_t rest = (uint8_t)(layer->kernel - first);
    return (span){first, (uint8_t)(room < rest ? room : rest), at};
}

static window window_at(const nn_conv_i8 *layer, const uint8_t *in, span y, span x)
{
    const uint8_t group = layer->group_inputs;
    const uint16_t corner = (uint16_t)(y.at * layer->width + x.at);
    window found;
    found.in = in + (uint16_t)(corner * layer->channels);
    found.skipped = (uint16_t)((y.first * layer->kernel + x.first) * group);
    if (group == layer->channels) {
        found.patches = 1;
        found.patch.rows = y.count;
        found.patch.run = (uint16_t)(x.count * group);
        found.patch.weights_gap = (uint16_t)((layer->kernel - x.count) * group);
        found.patch.in_gap = (uint16_t)((layer->width - x.count) * group);
    } else {
        found.patches = y.count;
        found.patch.rows = x.count;
        found.patch.run = group;
        found.patch.weights_gap = 0;
        found.patch.in_gap = (uint16_t)(layer->channels - group);
    }
    return found;
}

static int32_t window_sum(const nn_conv_i8 *layer, const window *at, const uint8_t *in, nn_far weights, int32_t sum)
{
    weights += at->skipped;
    sum = nn_patch_sum(&at->patch, weights, in, sum);
    for (uint8_t left = (uint8_t)(at->patches - 1); left; left--) {
        weights += (uint16_t)(layer->kernel * layer->group_inputs);
        in += (uint16_t)(layer->width * layer->channels);
        sum = nn_patch_sum(&at->patch, weights, in, sum);
    }
    return sum;
}

/* All outputs at one position; `is_first` of its pool's window. */
static void convolve(const nn_conv_i8 *layer, nn_far row, const window *at, uint8_t is_first, uint8_t *out)
{
    const uint16_t row_bytes =
        (uint16_t)(ROW_WEIGHTS_AT + (uint16_t)(layer->kernel * layer->kernel) * layer->group_inputs);
    const uint8_t *in = at->in;
    uint8_t left = layer->group_outputs;
    for (uint8_t i = 0; i < layer->outputs; i++) {
        const int32_t sum = window_sum(layer, at, in, row + ROW_WEIGHTS_AT, nn_far_i32(row));
        const uint8_t value = nn_activation(sum, nn_far_u16(row + 4), layer->shift);
        if (is_first || value > out[i])
            out[i] = value;
        row += row_bytes;
        if (--left == 0) {
            left = layer->group_outputs;
            in += layer->group_inputs;
        }
    }
}

static void convolve_row(const nn_conv_i8 *layer, nn_far numbers, const uint8_t *in, uint8_t y, uint8_t *out)
{
    const uint8_t pool = layer->pool;
    for (uint8_t x = 0; x < layer->out_width; x++) {
        for (uint8_t dy = 0; dy < pool; dy++) {
            const span rows = inside(layer, (uint16_t)(y * pool + dy), layer->height);
            for (uint8_t dx = 0; dx < pool; dx++) {
                const span columns = inside(layer, (uint16_t)(x * pool + dx), layer->width);
                const window at = window_at(layer, in, rows, columns);
                convolve(layer, numbers, &at, !(dy | dx), out);
            }
        }
        out += layer->outputs;
    }
}

void nn_conv_i8_run(const nn_conv_i8 *stage, nn_far numbers, const uint8_t *in, uint8_t *out)
{
    nn_conv_i8 layer;
    nn_rom_copy(&layer, stage, sizeof layer);
    numbers += layer.rows;
    const uint16_t out_pitch = (uint16_t)(layer.out_width * layer.outputs);
    for (uint8_t i = 0; i < layer.out_height; i++) {
        const uint8_t y = layer.backward ? (uint8_t)(layer.out_height - 1 - i) : i;
        convolve_row(&layer, numbers, in, y, out + (uint16_t)(y * out_pitch));
    }
}
