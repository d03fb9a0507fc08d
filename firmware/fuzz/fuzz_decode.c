/* The frame decoder against the oracle: every byte stream, cut into any pieces, with any room for an image. */
#include <string.h>

#include "fuzz_oracle.h"
#include "wire_decode.h"

#define MOST_ROOM  1024u
#define MOST_PIECE 300u

/* Both used from behind, so that a byte too far is out of bounds. */
static uint8_t image_room[MOST_ROOM];
static uint8_t piece_room[MOST_PIECE];

static void compare(const wire_decoder *decoder, const fuzz_splitter *oracle, uint16_t image_bytes)
{
    FUZZ_CHECK(decoder->type == oracle->type && decoder->sequence == oracle->sequence);
    FUZZ_CHECK(decoder->length == oracle->length);
    const uint8_t is_image = decoder->type == WIRE_TYPE_IMAGE;
    const size_t room = is_image ? image_bytes : WIRE_REQUEST_BYTES;
    const size_t kept = oracle->length < room ? oracle->length : room;
    FUZZ_CHECK(kept == 0 || memcmp(decoder->payload, oracle->payload, kept) == 0);
}

/* Takes one piece; the decoder must stop where the oracle sees a frame's end, and nowhere else. */
static void take(wire_decoder *decoder, fuzz_splitter *oracle, const uint8_t *bytes, uint16_t count,
                 uint16_t image_bytes)
{
    static const wire_event same[] = {
        [FUZZ_NOTHING] = WIRE_MORE, [FUZZ_FRAME] = WIRE_FRAME, [FUZZ_BROKEN] = WIRE_BROKEN};
    uint8_t *piece = piece_room + MOST_PIECE - count;
    memcpy(piece, bytes, count);
    while (count) {
        wire_event event;
        const uint16_t used = wire_decode(decoder, piece, count, &event);
        FUZZ_CHECK(used >= 1 && used <= count);
        fuzz_end end;
        FUZZ_CHECK(fuzz_split(oracle, piece, count, &end) == used);
        FUZZ_CHECK(event == same[end]);
        if (event == WIRE_FRAME)
            compare(decoder, oracle, image_bytes);
        piece += used;
        count = (uint16_t)(count - used);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static wire_decoder decoder;
    static fuzz_splitter oracle;
    static fuzz_event event;
    if (size < 3)
        return 0;
    const uint16_t image_bytes = (uint16_t)((data[0] | (unsigned)data[1] << 8) % (MOST_ROOM + 1));
    const uint16_t piece = (uint16_t)(data[2] + 1);
    fuzz_input input = {data + 3, data + size, 0};
    memset(&decoder, 0xA5, sizeof decoder);
    oracle.raw_count = 0;
    wire_decoder_init(&decoder, image_room + MOST_ROOM - image_bytes, image_bytes);
    for (;;) {
        fuzz_next(&input, &event);
        if (event.kind == FUZZ_OVER)
            return 0;
        for (size_t at = 0; at < event.count; at += piece) {
            const size_t left = event.count - at;
            take(&decoder, &oracle, event.bytes + at, (uint16_t)(left < piece ? left : piece), image_bytes);
        }
    }
}
