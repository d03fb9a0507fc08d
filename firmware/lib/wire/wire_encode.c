#include "wire_encode.h"

#include "wire_bytes.h"
#include "wire_crc.h"

#define LONGEST_RUN 254u

static uint8_t run_without_zero(const uint8_t *at, const uint8_t *end)
{
    uint8_t run = 0;
    while (run < LONGEST_RUN && at != end && *at != 0) {
        run++;
        at++;
    }
    return run;
}

void wire_encode(uint8_t *frame, uint16_t payload_bytes, wire_write write, void *context)
{
    const uint16_t checked = (uint16_t)(WIRE_HEADER_BYTES + payload_bytes);
    uint8_t *at = frame + WIRE_FRAME_TYPE_AT;
    uint8_t *const end = at + checked + WIRE_CRC_BYTES;

    wire_store_u32(at + checked, ~wire_crc_add(WIRE_CRC_INIT, at, checked));
    *end = WIRE_DELIMITER;
    for (;;) {
        const uint8_t run = run_without_zero(at, end);
        /* The block's code takes the place of what has been sent already: the zero before it, or the last byte of a
         * longest block, which stands for no zero. */
        at[-1] = (uint8_t)(run + 1);
        if (at + run == end) {
            write(context, at - 1, (uint16_t)(1u + run + 1u));
            return;
        }
        write(context, at - 1, (uint16_t)(1u + run));
        at += run;
        if (run != LONGEST_RUN)
            at++;
    }
}
