/* What a receiver makes of a character sent at another baud rate: the sender's waveform, sampled in the middle of the
 * receiver's bits. Deterministic; owns no clock and no line. */
#ifndef SIM_WAVE_H
#define SIM_WAVE_H

#include <stdbool.h>
#include <stdint.h>

typedef void (*wave_emit)(void *context, uint8_t byte, bool framing_error);

typedef struct {
    bool level_low; /* the line's last level; it idles high */
    bool receiving;
    double next;     /* the next sample, in the sender's bits from the start of the bit being sent */
    uint8_t samples; /* taken of this character: start, 8 data, stop */
    uint8_t byte;
} wave_t;

/* One character of the sender, start to stop bit. `ratio` is the receiver's bit time in the sender's. Calls `emit` for
 * each character that the receiver takes from it: none, one or several. */
void wave_send(wave_t *wave, uint8_t byte, double ratio, wave_emit emit, void *context);

/* The line stayed idle (high) after the last character for `bits` of the sender's. */
void wave_idle(wave_t *wave, double bits, double ratio, wave_emit emit, void *context);

#endif
