/* A frame onto the line, piece by piece through the owner's `write`.
 *
 *     uint8_t frame[WIRE_FRAME_BYTES(4)] = {0, WIRE_TYPE_PONG, sequence, 1, 2, 3, 4};
 *     wire_encode(frame, 4, write, port);
 */
#ifndef WIRE_ENCODE_H
#define WIRE_ENCODE_H

#include <stdint.h>

#include "wire_ids.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The bytes may change once it has returned. */
typedef void (*wire_write)(void *context, const uint8_t *bytes, uint16_t count);

/* What a frame needs while it is made: a spare byte, type, sequence, payload, room for the CRC and a spare byte. */
#define WIRE_FRAME_BYTES(payload) (1 + (payload) + WIRE_OVERHEAD_BYTES + 1)
#define WIRE_FRAME_TYPE_AT        1
#define WIRE_FRAME_SEQUENCE_AT    2
#define WIRE_FRAME_PAYLOAD_AT     3

/* `payload_bytes` at most 0xFFF8. The frame is stuffed where it lies: nothing of it is left. */
void wire_encode(uint8_t *frame, uint16_t payload_bytes, wire_write write, void *context);

#ifdef __cplusplus
}
#endif

#endif
