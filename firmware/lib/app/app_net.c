#include "app_net.h"

#include <stddef.h>
#include <string.h>

#include "model_net.h"
#include "wire_crc.h"

/* A union, so that the rendered code may keep 16 and 32-bit values in it on machines that care for alignment. */
static union {
    uint8_t bytes[MODEL_ARENA_BYTES];
    uint32_t alignment;
} arena;

uint8_t app_net_infer(const uint8_t *image, uint32_t scores[MODEL_CLASSES])
{
    union {
        int32_t integers[MODEL_CLASSES];
        float floats[MODEL_CLASSES];
    } out;
    const uint8_t predicted = model_infer(image, arena.bytes, &out);
    memcpy(scores, &out, sizeof out);
    return predicted;
}

uint32_t app_net_weights_crc(void)
{
    const uint8_t *at = (const uint8_t *)&model_rom;
    uint32_t crc = WIRE_CRC_INIT;
    for (size_t left = sizeof model_rom; left; left--)
        crc = wire_crc_step(crc, nn_rom_u8(at++));
    return ~crc;
}
