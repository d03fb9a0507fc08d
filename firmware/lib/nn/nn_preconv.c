/* The fixed front end. Its convolution is separable and linear, so it is done as pair sums, and the
 * pooling takes each sum as it appears: no convolved map is ever stored. */
#include "nn.h"

#define BORDER_LEFT  1u
#define BORDER_RIGHT 2u

/* Two adjacent image columns, walked downwards. */
typedef struct {
    const uint8_t *pixel; /* left column of the row to read next */
    uint8_t width;
    uint8_t borders; /* which neighbours lie outside the image */
} strip;

/* [1 2 1] across one row, centred on each column of the strip; at most 4 * 255. */
typedef struct {
    uint16_t left;
    uint16_t right;
} row_sums;

static inline row_sums read_row(strip *at)
{
    const uint8_t *p = at->pixel;
    at->pixel += at->width;
    const uint8_t before = (at->borders & BORDER_LEFT) ? 0 : p[-1];
    const uint8_t after = (at->borders & BORDER_RIGHT) ? 0 : p[2];
    const uint16_t left_pair = (uint16_t)(before + p[0]);
    const uint16_t middle_pair = (uint16_t)(p[0] + p[1]);
    const uint16_t right_pair = (uint16_t)(p[1] + after);
    return (row_sums){(uint16_t)(left_pair + middle_pair), (uint16_t)(middle_pair + right_pair)};
}

static inline uint16_t larger(uint16_t a, uint16_t b)
{
    return a > b ? a : b;
}

/* Takes one more row in: `pair` and `last` hold row sums of (y-1, y) and y, `next` is y+1. Returns the larger of the
 * two columns' convolutions at row y. */
static inline uint16_t advance(row_sums *pair, row_sums *last, row_sums next)
{
    const row_sums below = {(uint16_t)(last->left + next.left), (uint16_t)(last->right + next.right)};
    const uint16_t left = (uint16_t)(pair->left + below.left);
    const uint16_t right = (uint16_t)(pair->right + below.right);
    *pair = below;
    *last = next;
    return larger(left, right);
}

/* One column of the pooled map: `rows` values, `stride` apart. */
static void pool_strip(strip at, uint8_t rows, uint8_t stride, uint16_t *pooled)
{
    row_sums last = read_row(&at);
    row_sums pair = last; /* the row above the image is zero */
    while (--rows) {
        const uint16_t upper = advance(&pair, &last, read_row(&at));
        *pooled = larger(upper, advance(&pair, &last, read_row(&at)));
        pooled += stride;
    }
    const uint16_t upper = advance(&pair, &last, read_row(&at));
    *pooled = larger(upper, advance(&pair, &last, (row_sums){0, 0}));
}

/* floor(d * levels / range) for d <= range <= 4080 without a division per value: with
 * r = ceil(2^24 * levels / range) the error of d * r / 2^24 is below d * range / 2^24 / range < 1 / range, too small
 * to reach the next integer, and d * r fits 32 bits. tests/firmware tries every pair. Features may lie where the pooled
 * map begins: byte i is written once all values up to i, which reach at least as far, have been read. */
static void normalise(const uint16_t *pooled, uint16_t count, uint8_t levels, uint8_t *features)
{
    uint16_t low = pooled[0];
    uint16_t high = pooled[0];
    for (uint16_t i = 1; i < count; i++) {
        const uint16_t value = pooled[i];
        if (value < low)
            low = value;
        if (value > high)
            high = value;
    }
    const uint16_t range = (uint16_t)(high - low);
    const uint32_t reciprocal = range ? (((uint32_t)levels << 24) + range - 1u) / range : 0;
    for (uint16_t i = 0; i < count; i++)
        features[i] = (uint8_t)(((uint16_t)(pooled[i] - low) * reciprocal) >> 24);
}

void nn_preconv(const uint8_t *image, uint8_t height, uint8_t width, uint8_t levels, uint8_t *features,
                uint16_t *pooled)
{
    const uint8_t rows = height / 2;
    const uint8_t columns = width / 2;
    for (uint8_t x = 0; x < columns; x++) {
        strip at = {image + 2 * x, width, 0};
        if (x == 0)
            at.borders |= BORDER_LEFT;
        if (x == columns - 1)
            at.borders |= BORDER_RIGHT;
        pool_strip(at, rows, columns, pooled + x);
    }
    normalise(pooled, (uint16_t)(rows * columns), levels, features);
}
