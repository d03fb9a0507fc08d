/* The rendered network behind a fixed interface: the only part of the firmware that sees the weights. */
#ifndef APP_NET_H
#define APP_NET_H

#include <stdint.h>

#include "model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* image: MODEL_HEIGHT x MODEL_WIDTH u8. scores: one raw word per class, int32 or the bits of a float32. Returns the
 * class. Not reentrant: the scratch memory is static. */
uint8_t app_net_infer(const uint8_t *image, uint32_t scores[MODEL_CLASSES]);

/* CRC-32 of all weights and biases as they stand in flash now. */
uint32_t app_net_weights_crc(void);

#ifdef __cplusplus
}
#endif

#endif
