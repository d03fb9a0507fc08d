/* Frames out of a byte stream, one byte at a time, without a buffer of their own: an IMAGE payload goes straight into
 * the slot that the owner lends, any other into a few bytes here. Nothing may be believed before WIRE_FRAME, but a
 * slot may be overwritten by a frame that turns out broken.
 *
 *     wire_decoder decoder;
 *     wire_decoder_init(&decoder);
 *     decoder.slot = image;                  NULL where none is free
 *     decoder.slot_bytes = sizeof image;
 *     if (wire_decode(&decoder, byte) == WIRE_FRAME)
 *         handle(decoder.type, decoder.payload, decoder.length);
 */
#ifndef WIRE_DECODE_H
#define WIRE_DECODE_H

#include <stdint.h>

#include "wire_ids.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    WIRE_MORE,   /* no frame has ended */
    WIRE_FRAME,  /* one has, and its CRC is right: type, sequence, payload and length stand until the next byte */
    WIRE_BROKEN, /* one has, and it is to be thrown away */
} wire_event;

typedef struct {
    /* Lent by the owner, looked at when an IMAGE begins; may be changed at any time. */
    uint8_t *slot;
    uint16_t slot_bytes;

    /* The frame. `payload` is NULL for an IMAGE that found no slot. `length` counts all payload bytes that came, also
     * those for which there was no room; at most 0xFFF9. */
    uint8_t *payload;
    uint16_t length;
    uint8_t type;
    uint8_t sequence;

    /* Private. */
    uint8_t request[WIRE_REQUEST_BYTES];
    uint16_t room;  /* of payload */
    uint16_t count; /* decoded bytes so far, CRC included; stops at 0xFFFF */
    uint32_t crc;
    uint8_t run;       /* bytes left in the COBS block */
    uint8_t owes_zero; /* the block stands for a zero, if another block follows */
} wire_decoder;

void wire_decoder_init(wire_decoder *decoder);

wire_event wire_decode(wire_decoder *decoder, uint8_t byte);

#ifdef __cplusplus
}
#endif

#endif
