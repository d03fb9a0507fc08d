/* Contender: the tutorial's pipeline written down as it reads, in float: convolve with the zero border, pool, scale to
 * 0..255, two dense layers. Plain loops; the weights stay in flash because an Uno's RAM cannot hold them.
 * weights.h is rendered by tools/bench/contenders.py and defines the sizes. */
#include <avr/pgmspace.h>

#include "bench.h"
#include "weights.h"

#define POOLED_HEIGHT (HEIGHT / 2)
#define POOLED_WIDTH  (WIDTH / 2)

static const float kernel[3][3] = {
    {1 / 16.0f, 2 / 16.0f, 1 / 16.0f},
    {2 / 16.0f, 4 / 16.0f, 2 / 16.0f},
    {1 / 16.0f, 2 / 16.0f, 1 / 16.0f},
};

static float convolved[HEIGHT][WIDTH];
static float features[POOLED_HEIGHT * POOLED_WIDTH];
static float hidden[HIDDEN];
static float scores[CLASSES];

static void convolve(const uint8_t *image)
{
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            float sum = 0.0f;
            for (int i = 0; i < 3; i++)
                for (int j = 0; j < 3; j++) {
                    const int row = y + i - 1;
                    const int column = x + j - 1;
                    if (row >= 0 && row < HEIGHT && column >= 0 && column < WIDTH)
                        sum += kernel[i][j] * (float)image[row * WIDTH + column];
                }
            convolved[y][x] = sum;
        }
}

static void maxpool(void)
{
    for (int y = 0; y < POOLED_HEIGHT; y++)
        for (int x = 0; x < POOLED_WIDTH; x++) {
            float largest = convolved[2 * y][2 * x];
            for (int i = 0; i < 2; i++)
                for (int j = 0; j < 2; j++)
                    if (convolved[2 * y + i][2 * x + j] > largest)
                        largest = convolved[2 * y + i][2 * x + j];
            features[y * POOLED_WIDTH + x] = largest;
        }
}

static void normalize(void)
{
    float low = features[0];
    float high = features[0];
    for (int i = 1; i < INPUTS; i++) {
        if (features[i] < low)
            low = features[i];
        if (features[i] > high)
            high = features[i];
    }
    for (int i = 0; i < INPUTS; i++)
        features[i] = high > low ? (features[i] - low) / (high - low) * 255.0f : 0.0f;
}

static void dense(void)
{
    for (int i = 0; i < HIDDEN; i++) {
        float sum = pgm_read_float(&hidden_bias[i]);
        for (int j = 0; j < INPUTS; j++)
            sum += pgm_read_float(&hidden_weights[i][j]) * features[j];
        hidden[i] = sum > 0.0f ? sum : 0.0f;
    }
    for (int i = 0; i < CLASSES; i++) {
        float sum = pgm_read_float(&score_bias[i]);
        for (int j = 0; j < HIDDEN; j++)
            sum += pgm_read_float(&score_weights[i][j]) * hidden[j];
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
