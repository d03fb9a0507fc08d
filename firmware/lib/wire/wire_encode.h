/* A frame onto the line, byte by byte through the owner's `put`. The payload is read twice and never copied. */
#ifndef WIRE_ENCODE_H
#define WIRE_ENCODE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint8_t type;
    uint8_t sequence;
    uint16_t length; /* of payload, at most 0xFFF9 */
    const uint8_t *payload;
} wire_frame;

typedef void (*wire_put)(void *context, uint8_t byte);

/* Stuffing, CRC and delimiter included. */
void wire_encode(const wire_frame *frame, wire_put put, void *context);

#ifdef __cplusplus
}
#endif

#endif
