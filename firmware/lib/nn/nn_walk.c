#include "nn_walk.h"

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

static nn_window window_at(const nn_conv_i8 *layer, const uint8_t *in, span y, span x)
{
    const uint8_t group = layer->group_inputs;
    const uint16_t corner = (uint16_t)(y.at * layer->width + x.at);
    nn_window found;
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

static void walk_row(const nn_conv_i8 *layer, nn_far numbers, const uint8_t *in, uint8_t y, uint8_t *out,
                     nn_at_position at_position)
{
    const uint8_t pool = layer->pool;
    for (uint8_t x = 0; x < layer->out_width; x++) {
        for (uint8_t dy = 0; dy < pool; dy++) {
            const span rows = inside(layer, (uint16_t)(y * pool + dy), layer->height);
            for (uint8_t dx = 0; dx < pool; dx++) {
                const span columns = inside(layer, (uint16_t)(x * pool + dx), layer->width);
                const nn_window at = window_at(layer, in, rows, columns);
                at_position(layer, numbers, &at, !(dy | dx), out);
            }
        }
        out += layer->outputs;
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
