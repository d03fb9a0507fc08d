/* The port on which a fuzz target runs the application: what has come, what was said, and a clock to be set. */
#ifndef FUZZ_BOARD_H
#define FUZZ_BOARD_H

#include <stddef.h>

#include "app.h"

#define FUZZ_PIECE 64u
#define FUZZ_SAID  4096u

extern struct fuzz_board {
    uint8_t room[FUZZ_PIECE]; /* used from behind, so that a byte too far is out of bounds */
    uint16_t left;
    uint8_t said[FUZZ_SAID];
    size_t said_count;
    uint32_t now_us;
    uint32_t baud;
    uint8_t is_whole;
    uint8_t cause;
} fuzz_board;

extern const app_port fuzz_port;

#endif
