/* Program images into simulated flash: ELF (by load address) and Intel hex. Several may be loaded one after another,
 * say a bootloader and an application. */
#ifndef SIM_IMAGE_H
#define SIM_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sim_avr.h>

typedef struct {
    uint32_t start; /* lowest flash address written */
    uint32_t end;   /* one past the highest */
} image_extent;

/* Returns false with one line in `error` (field: found, need; remedy) when the file is unreadable, malformed, for
 * another machine, or does not fit the flash. The kind is taken from the content, not from the name. */
bool image_load(avr_t *avr, const char *path, image_extent *extent, char *error, size_t error_bytes);

#endif
