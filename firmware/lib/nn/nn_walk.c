#include "nn_walk.h"

#include <string.h>

typedef struct {
    uint8_t first; /* of the kernel */
    uint8_t count;
    uint16_t at; /* of the map */
} span;

static span inside(uint16_t position, uint8_t kernel, uint8_t stride, uint8_t padding, uint8_t side)
{
    const int16_t start = (int16_t)(position * stride - padding);
    const uint8_t first = start < 0 ? (uint8_t)-start : 0;
    const uint16_t at = (uint16_t)(start + first);
    const uint16_t room = (uint16_t)(side - at);
    const uint8_t rest = (uint8_t)(kernel - first);
    return (span){first, (uint8_t)(room < rest ? room : rest), at};
}

static span rows_inside(const nn_conv_i8 *layer, uint16_t position)
{
    return inside(position, layer->kernel, layer->stride, layer->padding, layer->height);
}

static span columns_inside(const nn_conv_i8 *layer, uint16_t position)
{
    return inside(position, layer->kernel_width, layer->stride_width, layer->padding_left, layer->width);
}

__attribute__((noinline)) void nn_walk_load(nn_conv_i8 *layer, const void *stage, uint8_t bytes)
{
    nn_rom_copy(layer, stage, bytes);
    layer->top = nn_top(layer->top);
    if (layer->kernel_width)
        return;
    layer->kernel_width = layer->kernel;
    layer->stride_width = layer->stride;
    layer->padding_left = layer->padding;
    layer->pool_width = layer->pool;
}

static nn_window window_at(const nn_conv_i8 *layer, const uint8_t *in, span y, span x)
{
    const uint8_t group = layer->group_inputs;
    nn_window found;
    found.in = in + (uint16_t)(x.at * layer->channels);
    found.skipped = (uint16_t)((y.first * layer->kernel_width + x.first) * group);
    if (group == layer->channels) {
        found.patches = 1;
        found.patch.rows = y.count;
        found.patch.run = (uint16_t)(x.count * group);
        found.patch.weights_gap = (uint16_t)((layer->kernel_width - x.count) * group);
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

/* One row of positions, `y` of the map before the pool, into the row of `out` that its windows lie in. `in` is the
 * first row of the input under it. */
static void walk_line(const nn_conv_i8 *layer, nn_far numbers, const uint8_t *in, span rows, uint8_t is_first_line,
                      uint8_t *out, nn_at_position at_position)
{
    const uint8_t pool = layer->pool_width;
    uint8_t position = 0;
    for (uint8_t x = layer->out_width; x; x--) {
        for (uint8_t dx = 0; dx < pool; dx++) {
            const nn_window at = window_at(layer, in, rows, columns_inside(layer, position++));
            at_position(layer, numbers + layer->rows, &at, is_first_line && !dx, out);
        }
        out += layer->outputs;
    }
}

static uint16_t in_pitch(const nn_conv_i8 *layer)
{
    return (uint16_t)(layer->width * layer->channels);
}

/* Output row `y`, from the whole map `in`. Inlined, for the stack's sake. */
static inline __attribute__((always_inline)) void walk_row(const nn_conv_i8 *layer, nn_far numbers, const uint8_t *in,
                                                           uint8_t y, uint8_t *out, nn_at_position at_position)
{
    for (uint8_t dy = 0; dy < layer->pool; dy++) {
        const span rows = rows_inside(layer, (uint16_t)(y * layer->pool + dy));
        walk_line(layer, numbers, in + (uint16_t)(rows.at * in_pitch(layer)), rows, !dy, out, at_position);
    }
}

void nn_walk(const nn_conv_i8 *layer, nn_far numbers, const uint8_t *in, uint8_t *out, nn_at_position at_position)
{
    const uint16_t out_pitch = (uint16_t)(layer->out_width * layer->outputs);
    for (uint8_t i = 0; i < layer->out_height; i++) {
        const uint8_t y = layer->backward ? (uint8_t)(layer->out_height - 1 - i) : i;
        walk_row(layer, numbers, in, y, out + (uint16_t)(y * out_pitch), at_position);
    }
}

void nn_walk_pair(const nn_pair *stages, nn_conv_i8 *layer, nn_far numbers, const uint8_t *in, uint8_t *between,
                  uint8_t *out, nn_at_position at_position)
{
    uint8_t oldest = 0, next = 0; /* rows of the map between: the one at `between`, and the one to compute next */
    uint8_t position = 0, line = 0;
    nn_walk_load(layer, stages->second, stages->bytes);
    for (uint8_t y = layer->out_height; y;) {
        const span rows = rows_inside(layer, position++);
        const uint8_t first = (uint8_t)rows.at, end = (uint8_t)(rows.at + rows.count);
        const uint16_t pitch = in_pitch(layer);
        if (first < next)
            memmove(between, between + (uint16_t)((uint8_t)(first - oldest) * pitch),
                    (uint16_t)((uint8_t)(next - first) * pitch));
        else
            next = first;
        oldest = first;
        if (next < end)
            nn_walk_load(layer, stages->first, stages->bytes);
        for (; next < end; next++)
            walk_row(layer, numbers, in, next, between + (uint16_t)((uint8_t)(next - first) * pitch), at_position);
        nn_walk_load(layer, stages->second, stages->bytes);
        walk_line(layer, numbers, between, rows, !line, out, at_position);
        if (++line == layer->pool) {
            line = 0;
            y--;
            out += (uint16_t)(layer->out_width * layer->outputs);
        }
    }
}
