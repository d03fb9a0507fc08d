/* The simulated board's command line. */
#ifndef SIM_OPTIONS_H
#define SIM_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define OPTIONS_IMAGES 8

typedef struct {
    const char *path;
    bool start_here; /* a reset starts at its lowest address */
} image_option;

typedef struct {
    const char *mcu, *report;
    uint32_t f_cpu;
    bool realtime, any_baud, stdin_eof;
    image_option images[OPTIONS_IMAGES];
    unsigned image_count;
} options;

/* Returns false, with the usage on stderr, when the arguments make no sense. */
bool options_parse(int argc, char **argv, options *chosen);

#endif
