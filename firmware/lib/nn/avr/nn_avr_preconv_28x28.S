/* void nn_avr_preconv_28x28(const uint8_t *image, uint8_t levels, uint8_t *features, uint16_t *pooled); */
#ifdef __AVR__ /* PlatformIO hands every board all of lib/nn. */
#include "nn_avr_preconv.h"

PRECONV nn_avr_preconv_28x28, 28, 28

#endif
