#include "wire_decode.h"

#include <stddef.h>

#include "wire_crc.h"

#define HEADER_BYTES 2u
#define CRC_BYTES    4u
#define COUNT_LIMIT  0xFFFFu

static void start_frame(wire_decoder *d)
{
    d->count = 0;
    d->crc = WIRE_CRC_INIT;
    d->run = 0;
    d->owes_zero = 0;
}

void wire_decoder_init(wire_decoder *decoder)
{
    decoder->slot = NULL;
    decoder->slot_bytes = 0;
    decoder->payload = NULL;
    start_frame(decoder);
}

/* The type is not yet vouched for, so it may choose between two places of known size and nothing more. */
static void choose_place(wire_decoder *d)
{
    if (d->type == WIRE_TYPE_IMAGE) {
        d->payload = d->slot;
        d->room = d->slot ? d->slot_bytes : 0;
    } else {
        d->payload = d->request;
        d->room = sizeof d->request;
    }
}

/* One byte with the stuffing undone. The frame's own CRC falls behind the payload: with room left it is stored too,
 * which does no harm, and run through the CRC register it leaves a constant. */
static inline void take(wire_decoder *d, uint8_t byte)
{
    d->crc = wire_crc_step(d->crc, byte);
    if (d->count >= HEADER_BYTES) {
        const uint16_t at = (uint16_t)(d->count - HEADER_BYTES);
        if (at < d->room)
            d->payload[at] = byte;
    } else if (d->count == 0) {
        d->type = byte;
    } else {
        d->sequence = byte;
        choose_place(d);
    }
    if (d->count != COUNT_LIMIT)
        d->count++;
}

static wire_event end_frame(wire_decoder *d)
{
    wire_event event = WIRE_BROKEN;
    if (d->count == 0 && d->run == 0 && !d->owes_zero) {
        event = WIRE_MORE; /* delimiters in a row */
    } else if (d->run == 0 && d->count >= HEADER_BYTES + CRC_BYTES && d->crc == WIRE_CRC_RESIDUE) {
        d->length = (uint16_t)(d->count - HEADER_BYTES - CRC_BYTES);
        event = WIRE_FRAME;
    }
    start_frame(d);
    return event;
}

/* This and the receive interrupt are what a byte costs, and at 1 Mbaud one comes each 160 cycles. Hence a single call
 * of take(), which the compiler then inlines. */
wire_event wire_decode(wire_decoder *decoder, uint8_t byte)
{
    if (byte == WIRE_DELIMITER)
        return end_frame(decoder);
    if (decoder->run) {
        decoder->run--;
    } else {
        const uint8_t owes_zero = decoder->owes_zero;
        decoder->run = (uint8_t)(byte - 1);
        decoder->owes_zero = byte != 0xFF;
        if (!owes_zero)
            return WIRE_MORE;
        byte = 0;
    }
    take(decoder, byte);
    return WIRE_MORE;
}
