/* The protocol's framing once more, as docs/protocol.md words it, for the fuzz targets to hold the firmware against:
 * slowly, with a buffer, and sharing no line with lib/wire. Also what a fuzzer's input means: a list of things that
 * happen to a line. */
#ifndef FUZZ_ORACLE_H
#define FUZZ_ORACLE_H

#include <stddef.h>
#include <stdint.h>

#define FUZZ_LINE_BYTES 8192 /* the most that one input puts on the line */

/* Ends the run with the place, as a sanitizer would, in every kind of build. */
#define FUZZ_CHECK(truth) ((truth) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #truth))

void fuzz_fail(const char *file, int line, const char *truth) __attribute__((noreturn));

uint32_t fuzz_crc(const uint8_t *bytes, size_t count);

typedef enum {
    FUZZ_NOTHING,
    FUZZ_FRAME,
    FUZZ_BROKEN
} fuzz_end;

/* What has come since the last zero, and behind one what it means. */
typedef struct {
    uint8_t raw[FUZZ_LINE_BYTES];
    size_t raw_count;
    uint8_t type;
    uint8_t sequence;
    uint8_t payload[FUZZ_LINE_BYTES];
    size_t length;
} fuzz_splitter;

/* Returns how many of the `count` bytes it took: all, or those up to the end of the first frame, sound or broken. After
 * FUZZ_FRAME type, sequence, payload and length are the frame's. */
size_t fuzz_split(fuzz_splitter *splitter, const uint8_t *bytes, size_t count, fuzz_end *end);

/* The input as it is used up. */
typedef struct {
    const uint8_t *at;
    const uint8_t *end;
    size_t said; /* bytes put on the line so far */
} fuzz_input;

typedef enum {
    FUZZ_BYTES, /* some bytes come: noise, a run of one byte, a sound frame, or one with a flipped bit */
    FUZZ_TIME,  /* `value` times 8 ms pass */
    FUZZ_RESET, /* with `value` as reset cause */
    FUZZ_STACK, /* the stack is whole (`value` below 128), or no longer */
    FUZZ_OVER,  /* the input has ended */
} fuzz_kind;

typedef struct {
    fuzz_kind kind;
    uint8_t value;
    uint8_t bytes[1100];
    size_t count;
} fuzz_event;

void fuzz_next(fuzz_input *input, fuzz_event *event);

#endif
