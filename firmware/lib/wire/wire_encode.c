#include "wire_encode.h"

#include "wire_crc.h"

#define HEADER_BYTES 2u
#define CRC_BYTES    4u
#define LONGEST_RUN  254u

/* A frame's bytes before stuffing, by index. */
typedef struct {
    const wire_frame *frame;
    uint32_t crc;
    uint16_t crc_at;
} body;

static uint8_t byte_at(const body *b, uint16_t index)
{
    if (index >= b->crc_at)
        return (uint8_t)(b->crc >> 8 * (index - b->crc_at));
    if (index >= HEADER_BYTES)
        return b->frame->payload[index - HEADER_BYTES];
    return index == 0 ? b->frame->type : b->frame->sequence;
}

static uint32_t crc_of(const body *b)
{
    uint32_t crc = WIRE_CRC_INIT;
    for (uint16_t i = 0; i < b->crc_at; i++)
        crc = wire_crc_step(crc, byte_at(b, i));
    return ~crc;
}

static uint8_t run_without_zero(const body *b, uint16_t from, uint16_t end)
{
    uint8_t run = 0;
    while (run < LONGEST_RUN && from != end && byte_at(b, from) != 0) {
        run++;
        from++;
    }
    return run;
}

void wire_encode(const wire_frame *frame, wire_put put, void *context)
{
    body b = {frame, 0, (uint16_t)(HEADER_BYTES + frame->length)};
    b.crc = crc_of(&b);
    const uint16_t end = (uint16_t)(b.crc_at + CRC_BYTES);
    uint16_t at = 0;
    for (;;) {
        const uint8_t run = run_without_zero(&b, at, end);
        put(context, (uint8_t)(run + 1));
        for (const uint16_t stop = (uint16_t)(at + run); at != stop; at++)
            put(context, byte_at(&b, at));
        if (at == end)
            break;
        /* A block below the longest stands for the zero behind it; the longest stands for none. */
        if (run != LONGEST_RUN)
            at++;
    }
    put(context, WIRE_DELIMITER);
}
