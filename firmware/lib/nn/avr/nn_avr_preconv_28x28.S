/* void nn_avr_preconv_28x28(const uint8_t *image, uint8_t levels, uint8_t *features, uint16_t *pooled); */
#include "nn_avr_preconv.h"

PRECONV nn_avr_preconv_28x28, 28, 28
