/* Frames out of a byte stream, without a buffer of their own: an IMAGE payload goes straight to the place that the
 * owner lends, any other into a few bytes here. Nothing may be believed before WIRE_FRAME; the lent place may be
 * overwritten by a frame that turns out broken.
 *
 *     wire_decoder decoder;
 *     wire_decoder_init(&decoder, image, sizeof image);
 *     while (count) {
 *         wire_event event;
 *         const uint16_t used = wire_decode(&decoder, bytes, count, &event);
 *         bytes += used;
 *         count -= used;
 *         if (event == WIRE_FRAME)
 *             handle(decoder.type, decoder.payload, decoder.length);
 *     }
 */
#ifndef WIRE_DECODE_H
#define WIRE_DECODE_H

#include <stdint.h>

#include "wire_cobs.h"
#include "wire_ids.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    WIRE_MORE,   /* no frame has ended */
    WIRE_FRAME,  /* one has, and its CRC is right: type, sequence, payload and length stand until the next call */
    WIRE_BROKEN, /* one has, and it is to be thrown away */
} wire_event;

typedef struct {
    /* The frame. `length` counts all payload bytes that came, also those for which there was no room; at most
     * 0xFFF9. */
    uint8_t *payload;
    uint16_t length;
    uint8_t type;
    uint8_t sequence;

    /* Private. */
    wire_cobs cobs;
    uint8_t *image;
    uint16_t image_bytes;
    uint16_t room;  /* of payload */
    uint16_t count; /* unstuffed bytes so far, CRC included; stops at 0xFFFF */
    uint8_t header[WIRE_HEADER_BYTES];
    uint8_t request[WIRE_REQUEST_BYTES];
    uint8_t spare; /* takes what has no room */
} wire_decoder;

/* `image` must outlive `decoder`. */
void wire_decoder_init(wire_decoder *decoder, uint8_t *image, uint16_t image_bytes);

/* Returns how many of the `count` bytes were used: all, or those up to the end of the first frame. */
uint16_t wire_decode(wire_decoder *decoder, const uint8_t *bytes, uint16_t count, wire_event *event);

#ifdef __cplusplus
}
#endif

#endif
