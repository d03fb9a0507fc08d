/* The same kernels on the same pseudo-random inputs, on the PC and on an AVR in simavr: one line per case, equal on
 * both. The PC's results are compared with the definitions elsewhere. vectors.h is written by test_nn_on_avr.py. */
#include "nn.h"

#include "vectors.h"

#if defined(__AVR__)
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>

static void put(char c)
{
    while (!(UCSR0A & _BV(UDRE0)))
        ;
    UDR0 = (uint8_t)c;
}
#else
#include <stdio.h>

static void put(char c)
{
    putchar(c);
}
#endif

#define SIDE     16
#define FEATURES (SIDE / 2 * SIDE / 2)
#define HIDDEN   20
#define CLASSES  10
#define ROUNDS   4
#define EDGES    30000

static uint8_t image[SIDE * SIDE];
static uint8_t features[FEATURES];
static uint16_t pooled[FEATURES];
static uint8_t hidden[HIDDEN];
static union {
    int32_t integers[CLASSES];
    float floats[CLASSES];
    uint32_t words[CLASSES];
} scores;

static void say(char name, const uint8_t *bytes, uint16_t count)
{
    static const char digits[] = "0123456789abcdef";
    put(name);
    for (uint16_t i = 0; i < count; i++) {
        put(digits[bytes[i] >> 4]);
        put(digits[bytes[i] & 15]);
    }
    put('.');
    put('\n');
}

static void draw(uint16_t seed)
{
    for (uint16_t i = 0; i < SIDE * SIDE; i++) {
        seed = (uint16_t)(seed * 25173u + 13849u);
        if (seed & 0x0C00u)
            image[i] = (uint8_t)(seed >> 4);
        else
            image[i] = 0;
    }
}

static void run_integers(void)
{
    static const nn_dense first NN_ROM = {0, FEATURES, HIDDEN, 16, 8, 255};
    static const nn_dense last NN_ROM = {0, HIDDEN, CLASSES, 0, 8, 0};
    nn_dense_hidden(&first, NN_FAR(hidden_rows), features, hidden);
    nn_dense_scores(&last, NN_FAR(score_rows), hidden, scores.integers);
    say('h', hidden, sizeof hidden);
    say('i', (const uint8_t *)scores.words, sizeof scores);
    put((char)('0' + nn_argmax_i32(scores.integers, CLASSES)));
}

static float maps[2][4 * 4 * 3];

/* In lines that simavr does not cut. */
static void say_floats(char name, const float *values, uint8_t count)
{
    for (; count; count--, values++)
        say(name, (const uint8_t *)values, sizeof *values);
}

/* A net of convolutions in floats. */
static void run_float_stages(void)
{
    static const nn_conv_float first NN_ROM = {.height = SIDE,
                                               .width = SIDE,
                                               .channels = 1,
                                               .kernel = 3,
                                               .stride = 2,
                                               .padding = 1,
                                               .pool = 2,
                                               .kernel_width = 5,
                                               .stride_width = 2,
                                               .padding_left = 2,
                                               .pool_width = 2,
                                               .group_inputs = 1,
                                               .group_outputs = 3,
                                               .out_height = 4,
                                               .out_width = 4,
                                               .outputs = 3,
                                               .relu = 1};
    static const nn_conv_float second NN_ROM = {.height = 4,
                                                .width = 4,
                                                .channels = 3,
                                                .kernel = 2,
                                                .stride = 1,
                                                .pool = 1,
                                                .kernel_width = 2,
                                                .stride_width = 1,
                                                .pool_width = 1,
                                                .group_inputs = 3,
                                                .group_outputs = 3,
                                                .out_height = 3,
                                                .out_width = 3,
                                                .outputs = 3,
                                                .relu = 0};
    static const nn_pool means NN_ROM = {3, 3, 2, 2, 2, 0, 1, 2, 1};
    static const nn_dense_float last NN_ROM = {0, 2 * 2 * 3, CLASSES, 0};
    nn_conv_f16_u8(&first, NN_FAR(first_rows), image, maps[0]);
    say_floats('C', maps[0], 4 * 4 * 3);
    nn_conv_f32_f32(&second, NN_FAR(float_rows), maps[0], maps[1]);
    say_floats('C', maps[1], 3 * 3 * 3);
    nn_pool_f32_average(&means, maps[1], maps[0]);
    say_floats('P', maps[0], 2 * 2 * 3);
    nn_dense_f16_f32(&last, NN_FAR(half_rows), maps[0], scores.floats);
    say('R', (const uint8_t *)scores.words, sizeof scores);
    nn_pool_f32_max(&means, maps[1], maps[0]);
    nn_dense_f32_f32(&last, NN_FAR(float_rows), maps[0], scores.floats);
    say('R', (const uint8_t *)scores.words, sizeof scores);
}

static uint32_t next_random(void)
{
    static uint32_t state = 1;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

static float with_exponent(int16_t exponent)
{
    union {
        uint32_t bits;
        float value;
    } out;
    if (exponent < 0)
        exponent = 0;
    if (exponent > 254)
        exponent = 254;
    out.bits = (next_random() & 0x807FFFFFu) | (uint32_t)exponent << 23;
    return out.value;
}

/* bias + weight * input over all exponents, the bias about as large as the product: rounding, cancellation, underflow
 * into subnormals and overflow all happen. One hash for each 100 results. */
static void run_edges(void)
{
    uint32_t hash = 0;
    for (uint16_t i = 1; i <= EDGES; i++) {
        const int16_t e1 = (int16_t)(next_random() % 255u);
        const int16_t e2 = (int16_t)(next_random() % 255u);
        const int16_t apart = (int16_t)(next_random() % 56u);
        const float weight = with_exponent(e1);
        const float input = with_exponent(e2);
        const float bias = with_exponent((int16_t)(e1 + e2 - 127 + apart - 28));
        /* What the float kernels do with each weight, on numbers that no flash has to hold. */
        const float term = weight * input;
        scores.floats[0] = bias + term;
        hash = hash * 31u + scores.words[0];
        if (i % 100 == 0)
            say('E', (const uint8_t *)&hash, sizeof hash);
    }
}

int main(void)
{
#if defined(__AVR__)
    UCSR0B = _BV(TXEN0);
#endif
    for (uint8_t round = 0; round < ROUNDS; round++) {
        draw(round);
        nn_preconv(image, SIDE, SIDE, round & 1 ? 63 : 255, features, pooled);
        say('f', features, sizeof features);
        run_integers();
        run_float_stages();
    }
    run_edges();
#if defined(__AVR__)
    while (!(UCSR0A & _BV(UDRE0)))
        ;
    for (volatile uint16_t i = 0; i < 10000; i++) /* the last byte leaves */
        ;
    cli();
    sleep_enable();
    sleep_cpu(); /* with interrupts off: simavr ends */
#endif
    return 0;
}
