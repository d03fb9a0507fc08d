#include "sim_wave.h"

#define STOP_SAMPLE 9

static void take_sample(wave_t *wave, bool high, wave_emit emit, void *context)
{
    const uint8_t index = wave->samples++;

    if (index == 0)
        wave->receiving = !high; /* high: the start bit was a glitch */
    else if (index < STOP_SAMPLE)
        wave->byte = (uint8_t)(wave->byte >> 1 | (high ? 0x80 : 0));
    else {
        wave->receiving = false;
        emit(context, wave->byte, !high);
    }
}

/* The line holds one level for `duration` of the sender's bits. */
static void hold(wave_t *wave, bool high, double duration, double ratio, wave_emit emit, void *context)
{
    if (!wave->receiving && !high && !wave->level_low) {
        wave->receiving = true;
        wave->samples = 0;
        wave->byte = 0;
        wave->next = ratio / 2;
    }
    while (wave->receiving && wave->next < duration) {
        take_sample(wave, high, emit, context);
        wave->next += ratio;
    }
    wave->next -= duration;
    wave->level_low = !high;
}

void wave_send(wave_t *wave, uint8_t byte, double ratio, wave_emit emit, void *context)
{
    const unsigned bits = 0x200u | (unsigned)byte << 1;

    for (unsigned i = 0; i < 10; i++)
        hold(wave, bits >> i & 1u, 1.0, ratio, emit, context);
}

void wave_idle(wave_t *wave, double bits, double ratio, wave_emit emit, void *context)
{
    hold(wave, true, bits, ratio, emit, context);
}
