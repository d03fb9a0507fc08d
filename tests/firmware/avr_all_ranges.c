/* nn_avr_normalize on every value under every range, on the simulated chip itself. The definition's quotient is kept by
 * counting up, without a division. Sends two 32-bit numbers through GPIOR1, low byte first: pairs tried, pairs wrong.
 */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>

#include "nn_avr.h"

#define LARGEST 4080u
#define CHUNK   800u

static union {
    uint16_t values[CHUNK];
    uint8_t features[CHUNK];
} map;
static uint32_t tried, wrong;

static void send(uint32_t number)
{
    for (uint8_t i = 0; i < 4; i++, number >>= 8)
        GPIOR1 = (uint8_t)number;
}

static void try_range(uint16_t range)
{
    const uint16_t smallest = LARGEST - range; /* the largest value is then always LARGEST */
    uint16_t quotient = 0, remainder = 0;      /* of difference * TOP_LEVEL / range */
    uint16_t difference = 0;
    while (difference <= range) {
        const uint16_t left = (uint16_t)(range + 1u - difference);
        const uint16_t used = left < CHUNK ? left : CHUNK;
        const uint16_t count = (uint16_t)((used + 3u) & ~3u);
        for (uint16_t i = 0; i < count; i++)
            map.values[i] = i < used ? (uint16_t)(smallest + difference + i) : smallest;
        nn_avr_normalize(map.values, count, smallest, LARGEST, TOP_LEVEL, map.features);
        for (uint16_t i = 0; i < used; i++) {
            wrong += map.features[i] != (uint8_t)quotient;
            for (remainder = (uint16_t)(remainder + TOP_LEVEL); remainder >= range; quotient++)
                remainder = (uint16_t)(remainder - range);
        }
        difference = (uint16_t)(difference + used);
        tried += used;
    }
}

int main(void)
{
    for (uint16_t range = 1; range <= LARGEST; range++)
        try_range(range);
    send(tried);
    send(wrong);
    cli();
    sleep_mode();
    return 0;
}
