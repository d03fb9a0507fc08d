/* Undoes the byte stuffing and runs the CRC along: the one loop that sees each received byte. Internal to lib/wire. */
#ifndef WIRE_COBS_H
#define WIRE_COBS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* avr/wire_cobs.S knows this layout. */
typedef struct {
    uint32_t crc;  /* of all unstuffed bytes so far, as wire_crc_add keeps it */
    uint8_t *to;   /* where the next unstuffed byte goes */
    uint8_t run;   /* bytes left in the block */
    uint8_t block; /* its code; below 0xFF it stands for a zero too, if another block follows */
} wire_cobs;

/* What `block` is before the first one, which no zero precedes. */
#define WIRE_COBS_START 0xFFu

/* Takes up to `count` bytes of `bytes`, but stops in front of a delimiter. Returns how many it took; at most as many
 * lie unstuffed at `to` then. count >= 1. */
uint8_t wire_cobs_take(wire_cobs *cobs, const uint8_t *bytes, uint8_t count);

#ifdef __cplusplus
}
#endif

#endif
