/* The codec of firmware/lib/wire on an AVR, for cyclecount. Takes pieces (length, bytes) from the input; answers each
 * end of a frame with event, type, sequence, length and the payload's CRC. Then the regions: 1 the CRC of 256 bytes, 2
 * and 3 unstuffing 200 bytes, all inside one block or all blocks of a zero each. */
#include <avr/io.h>
#include <string.h>

#include "wire_crc.h"
#include "wire_decode.h"

#define IMAGE_BYTES 256

static uint8_t image[IMAGE_BYTES], piece[256];
static wire_decoder decoder;

static void put(uint32_t value, uint8_t bytes)
{
    for (; bytes; bytes--, value >>= 8)
        GPIOR1 = (uint8_t)value;
}

static void report(wire_event event)
{
    const uint16_t room = decoder.type == WIRE_TYPE_IMAGE ? IMAGE_BYTES : WIRE_REQUEST_BYTES;
    put((uint32_t)event, 1);
    if (event != WIRE_FRAME)
        return;
    put(decoder.type, 1);
    put(decoder.sequence, 1);
    put(decoder.length, 2);
    put(~wire_crc_add(WIRE_CRC_INIT, decoder.payload, decoder.length < room ? decoder.length : room), 4);
}

static void decode_piece(uint8_t count)
{
    for (uint8_t i = 0; i < count; i++)
        piece[i] = GPIOR1;
    for (uint8_t at = 0; at < count;) {
        wire_event event;
        at = (uint8_t)(at + wire_decode(&decoder, piece + at, (uint16_t)(count - at), &event));
        if (event != WIRE_MORE)
            report(event);
    }
}

static void measure(void)
{
    wire_cobs cobs = {.crc = WIRE_CRC_INIT, .to = image, .run = 254, .block = WIRE_COBS_START};
    memset(piece, 1, sizeof piece);
    GPIOR0 = 1;
    wire_crc_add(WIRE_CRC_INIT, piece, 256);
    GPIOR0 = 2;
    wire_cobs_take(&cobs, piece, 200);
    GPIOR0 = 0;
    cobs = (wire_cobs){.crc = WIRE_CRC_INIT, .to = image, .run = 0, .block = 1};
    GPIOR0 = 3;
    wire_cobs_take(&cobs, piece, 200);
    GPIOR0 = 0;
}

int main(void)
{
    wire_decoder_init(&decoder, image, IMAGE_BYTES);
    while (GPIOR2)
        decode_piece(GPIOR1);
    measure();
    return 0;
}
