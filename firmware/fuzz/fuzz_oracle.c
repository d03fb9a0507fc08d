#include "fuzz_oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST_PAYLOAD 800u
#define SHORT_PAYLOAD   32u /* twice an image of the fixture */

void fuzz_fail(const char *file, int line, const char *truth)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, truth);
    abort();
}

uint32_t fuzz_crc(const uint8_t *bytes, size_t count)
{
    static uint32_t table[256];
    if (table[1] == 0) {
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t value = i;
            for (int bit = 0; bit < 8; bit++)
                value = value & 1 ? value >> 1 ^ 0xEDB88320u : value >> 1;
            table[i] = value;
        }
    }
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < count; i++)
        crc = table[(crc ^ bytes[i]) & 0xFFu] ^ crc >> 8;
    return ~crc;
}

/* Returns how many bytes lie unstuffed at `out`, -1 if a block is broken. */
static long unstuff(const uint8_t *raw, size_t count, uint8_t *out)
{
    long made = 0;
    for (size_t at = 0; at < count;) {
        const size_t code = raw[at++];
        if (at + code - 1 > count)
            return -1;
        memcpy(out + made, raw + at, code - 1);
        made += (long)code - 1;
        at += code - 1;
        if (code != 0xFF && at < count)
            out[made++] = 0;
    }
    return made;
}

/* What came before a zero. */
static fuzz_end judge(fuzz_splitter *splitter)
{
    static uint8_t frame[FUZZ_LINE_BYTES];
    const size_t raw_count = splitter->raw_count;
    splitter->raw_count = 0;
    if (raw_count == 0)
        return FUZZ_NOTHING;
    const long count = unstuff(splitter->raw, raw_count, frame);
    if (count < 6)
        return FUZZ_BROKEN;
    const uint8_t *crc = frame + count - 4;
    const uint32_t found = crc[0] | (uint32_t)crc[1] << 8 | (uint32_t)crc[2] << 16 | (uint32_t)crc[3] << 24;
    if (found != fuzz_crc(frame, (size_t)count - 4))
        return FUZZ_BROKEN;
    splitter->type = frame[0];
    splitter->sequence = frame[1];
    splitter->length = (size_t)count - 6;
    memcpy(splitter->payload, frame + 2, splitter->length);
    return FUZZ_FRAME;
}

size_t fuzz_split(fuzz_splitter *splitter, const uint8_t *bytes, size_t count, fuzz_end *end)
{
    size_t used = 0;
    *end = FUZZ_NOTHING;
    while (used < count && *end == FUZZ_NOTHING) {
        const uint8_t *zero = memchr(bytes + used, 0, count - used);
        const size_t others = zero ? (size_t)(zero - bytes) - used : count - used;
        FUZZ_CHECK(others <= FUZZ_LINE_BYTES - splitter->raw_count);
        memcpy(splitter->raw + splitter->raw_count, bytes + used, others);
        splitter->raw_count += others;
        used += others;
        if (zero) {
            used++;
            *end = judge(splitter);
        }
    }
    return used;
}

static uint8_t next_byte(fuzz_input *input)
{
    return input->at < input->end ? *input->at++ : 0;
}

/* frame: type, sequence, payload, and room for the CRC. Returns the bytes on the line at `out`. */
static size_t stuff(uint8_t *frame, size_t checked, uint8_t *out)
{
    const uint32_t crc = fuzz_crc(frame, checked);
    for (size_t i = 0; i < 4; i++)
        frame[checked + i] = (uint8_t)(crc >> 8 * i);
    size_t made = 1, code_at = 0;
    uint8_t code = 1;
    for (size_t i = 0; i < checked + 4; i++) {
        if (code == 0xFF) {
            out[code_at] = code;
            code_at = made++;
            code = 1;
        }
        if (frame[i] != 0) {
            out[made++] = frame[i];
            code++;
        } else {
            out[code_at] = code;
            code_at = made++;
            code = 1;
        }
    }
    out[code_at] = code;
    out[made++] = 0;
    return made;
}

/* Up to LONGEST_PAYLOAD where the second byte is below 4. Any other gives a short one, as most shall be: a long frame
 * has the bytes of fifty short ones, and nothing more to say than how many. */
static size_t next_length(fuzz_input *input)
{
    const size_t low = next_byte(input), high = next_byte(input);
    return high < 4 ? (low | high << 8) % (LONGEST_PAYLOAD + 1) : low % (SHORT_PAYLOAD + 1);
}

/* Type, sequence, two bytes of length; the payload from the input, and where that ends, one byte again and again. */
static void make_frame(fuzz_input *input, fuzz_event *event, uint8_t is_struck)
{
    uint8_t frame[2 + LONGEST_PAYLOAD + 4];
    frame[0] = next_byte(input);
    frame[1] = next_byte(input);
    const size_t length = next_length(input);
    const uint8_t rest = next_byte(input);
    const size_t left = (size_t)(input->end - input->at);
    const size_t given = left < length ? left : length;
    memcpy(frame + 2, input->at, given);
    memset(frame + 2 + given, rest, length - given);
    input->at += given;
    event->count = stuff(frame, 2 + length, event->bytes);
    if (is_struck) {
        const size_t place = (next_byte(input) | (size_t)next_byte(input) << 8) % event->count;
        event->bytes[place] = (uint8_t)(event->bytes[place] ^ 1u << (next_byte(input) & 7u));
    }
}

void fuzz_next(fuzz_input *input, fuzz_event *event)
{
    event->kind = FUZZ_OVER;
    event->count = 0;
    if (input->at == input->end)
        return;
    const uint8_t tag = next_byte(input);
    event->kind = FUZZ_BYTES;
    if (tag < 0x40) {
        for (uint8_t i = 0; i <= tag && input->at < input->end; i++)
            event->bytes[event->count++] = next_byte(input);
    } else if (tag < 0x60) {
        const uint8_t wish = tag & 31u; /* of a few bytes, or of hundreds */
        event->count = wish < 24 ? wish + 1u : 128u * (wish - 24u) + 97u;
        memset(event->bytes, next_byte(input), event->count);
    } else if (tag < 0xC0) {
        make_frame(input, event, 0);
    } else if (tag < 0xE0) {
        make_frame(input, event, 1);
    } else {
        event->kind = tag < 0xF0 ? FUZZ_TIME : tag < 0xF8 ? FUZZ_RESET : FUZZ_STACK;
        event->value = next_byte(input);
    }
    if (input->said + event->count > FUZZ_LINE_BYTES)
        event->kind = FUZZ_OVER;
    input->said += event->count;
}
