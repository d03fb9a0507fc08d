/* Contender: the quantised net in straightforward C: integers throughout, a 32-bit accumulator, one division a feature,
 * no trick. Its numbers are ours, with 8-bit activations and no unit left out, so its classes must be the reference's.
 * weights.h is rendered by tools/bench/contenders.py. */
#include <avr/pgmspace.h>

#include "bench.h"
#include "weights.h"

#define POOLED_HEIGHT (HEIGHT / 2)
#define POOLED_WIDTH  (WIDTH / 2)

static const uint8_t kernel[3][3] = {{1, 2, 1}, {2, 4, 2}, {1, 2, 1}};

static uint16_t convolved[HEIGHT][WIDTH];
static uint16_t pooled[POOLED_HEIGHT * POOLED_WIDTH];
static uint8_t features[INPUTS];
static uint8_t hidden[HIDDEN];
static int32_t scores[CLASSES];

static void convolve(const uint8_t *image)
{
    for (int8_t y = 0; y < HEIGHT; y++)
        for (int8_t x = 0; x < WIDTH; x++) {
            uint16_t sum = 0;
            for (int8_t i = 0; i < 3; i++)
                for (int8_t j = 0; j < 3; j++) {
                    const int8_t row = (int8_t)(y + i - 1);
                    const int8_t column = (int8_t)(x + j - 1);
                    if (row >= 0 && row < HEIGHT && column >= 0 && column < WIDTH)
                        sum = (uint16_t)(sum + kernel[i][j] * image[row * WIDTH + column]);
                }
            convolved[y][x] = sum;
        }
}

static void maxpool(void)
{
    for (uint8_t y = 0; y < POOLED_HEIGHT; y++)
        for (uint8_t x = 0; x < POOLED_WIDTH; x++) {
            uint16_t largest = 0;
            for (uint8_t i = 0; i < 2; i++)
                for (uint8_t j = 0; j < 2; j++)
                    if (convolved[2 * y + i][2 * x + j] > largest)
                        largest = convolved[2 * y + i][2 * x + j];
            pooled[y * POOLED_WIDTH + x] = largest;
        }
}

static void normalize(void)
{
    uint16_t low = pooled[0];
    uint16_t high = pooled[0];
    for (uint8_t i = 1; i < INPUTS; i++) {
        if (pooled[i] < low)
            low = pooled[i];
        if (pooled[i] > high)
            high = pooled[i];
    }
    for (uint8_t i = 0; i < INPUTS; i++)
        features[i] = high > low ? (uint8_t)((uint32_t)(pooled[i] - low) * LEVELS / (uint16_t)(high - low)) : 0;
}

static void dense(void)
{
    for (uint8_t i = 0; i < HIDDEN; i++) {
        int32_t sum = (int32_t)pgm_read_dword(&hidden_bias[i]);
        for (uint8_t j = 0; j < INPUTS; j++)
            sum += (int8_t)pgm_read_byte(&hidden_weights[i][j]) * features[j];
        const uint32_t scaled = sum > 0 ? ((uint32_t)sum * MULTIPLIER + (1UL << (SHIFT - 1))) >> SHIFT : 0;
        hidden[i] = scaled > LEVELS ? LEVELS : (uint8_t)scaled;
    }
    for (uint8_t i = 0; i < CLASSES; i++) {
        int32_t sum = (int32_t)pgm_read_dword(&score_bias[i]);
        for (uint8_t j = 0; j < HIDDEN; j++)
            sum += (int8_t)pgm_read_byte(&score_weights[i][j]) * hidden[j];
        scores[i] = sum;
    }
}

static uint8_t argmax(void)
{
    uint8_t best = 0;
    for (uint8_t i = 1; i < CLASSES; i++)
        if (scores[i] > scores[best])
            best = i;
    return best;
}

uint8_t bench_classify(const uint8_t *input)
{
    convolve(input);
    maxpool();
    normalize();
    BENCH_DENSE_STARTS();
    dense();
    return argmax();
}
