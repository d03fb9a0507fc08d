#include "wire_decode.h"

#include <stddef.h>

#define COUNT_LIMIT 0xFFFFu
#define BATCH_LIMIT 0xFFu

#if defined(__AVR__)
/* What avr/wire_cobs.S has been told. */
typedef char cobs_layout_is_known[offsetof(wire_cobs, crc) == 0 && offsetof(wire_cobs, to) == 4 &&
                                          offsetof(wire_cobs, run) == 6 && offsetof(wire_cobs, block) == 7
                                      ? 1
                                      : -1];
#endif

/* Not inlined, since it is called from several places: 100 bytes of an AVR's flash. */
static void __attribute__((noinline)) start_frame(wire_decoder *d)
{
    d->count = 0;
    d->cobs.crc = WIRE_CRC_INIT;
    d->cobs.run = 0;
    d->cobs.block = WIRE_COBS_START;
}

void wire_decoder_init(wire_decoder *decoder, uint8_t *image, uint16_t image_bytes)
{
    decoder->image = image;
    decoder->image_bytes = image_bytes;
    start_frame(decoder);
}

/* The type is not yet vouched for, so it may choose between two places of known size and nothing more. */
static void choose_payload(wire_decoder *d)
{
    const uint8_t is_image = d->header[0] == WIRE_TYPE_IMAGE;
    d->payload = is_image ? d->image : d->request;
    d->room = is_image ? d->image_bytes : (uint16_t)sizeof d->request;
}

/* Points at where the next byte goes and returns how many may follow it there, itself included. The frame's own CRC
 * falls behind the payload: with room left it is stored too, which does no harm, and run through the CRC register it
 * leaves a constant. */
static uint16_t choose_place(wire_decoder *d)
{
    if (d->count < WIRE_HEADER_BYTES) {
        d->cobs.to = d->header + d->count;
        return (uint16_t)(WIRE_HEADER_BYTES - d->count);
    }
    if (d->count == WIRE_HEADER_BYTES)
        choose_payload(d);
    const uint16_t at = (uint16_t)(d->count - WIRE_HEADER_BYTES);
    if (at < d->room) {
        d->cobs.to = d->payload + at;
        return (uint16_t)(d->room - at);
    }
    d->cobs.to = &d->spare;
    return 1;
}

/* Returns how many bytes it took, up to `count` or a delimiter; fewer where their place ends. */
static uint8_t take(wire_decoder *d, const uint8_t *bytes, uint16_t count)
{
    const uint16_t room = choose_place(d);
    const uint16_t batch = count < room ? count : room;
    const uint8_t *const from = d->cobs.to;
    const uint8_t taken = wire_cobs_take(&d->cobs, bytes, (uint8_t)(batch < BATCH_LIMIT ? batch : BATCH_LIMIT));
    const uint16_t stored = (uint16_t)(d->cobs.to - from);
    d->count = stored < COUNT_LIMIT - d->count ? (uint16_t)(d->count + stored) : (uint16_t)COUNT_LIMIT;
    return taken;
}

static wire_event end_frame(wire_decoder *d)
{
    const uint8_t is_between_blocks = d->cobs.run == 0;
    wire_event event = WIRE_BROKEN;
    if (is_between_blocks && d->count == 0 && d->cobs.block == WIRE_COBS_START) {
        event = WIRE_MORE; /* delimiters in a row */
    } else if (is_between_blocks && d->count >= WIRE_OVERHEAD_BYTES && d->cobs.crc == WIRE_CRC_RESIDUE) {
        d->type = d->header[0];
        d->sequence = d->header[1];
        d->length = (uint16_t)(d->count - WIRE_OVERHEAD_BYTES);
        event = WIRE_FRAME;
    }
    start_frame(d);
    return event;
}

uint16_t wire_decode(wire_decoder *decoder, const uint8_t *bytes, uint16_t count, wire_event *event)
{
    uint16_t used = 0;
    *event = WIRE_MORE;
    while (used < count && *event == WIRE_MORE) {
        if (bytes[used] == WIRE_DELIMITER) {
            *event = end_frame(decoder);
            used++;
        } else {
            used = (uint16_t)(used + take(decoder, bytes + used, (uint16_t)(count - used)));
        }
    }
    return used;
}
