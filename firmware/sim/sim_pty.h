/* The host's end of the wire: a pseudo-terminal in raw mode, with what a real adapter would know: whether a program
 * has the port open, and the baud rate it asked for. Knows no AVR and no simulated time. */
#ifndef SIM_PTY_H
#define SIM_PTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    int master;
    int watch;  /* inotify on the slave: opens and closes, however quick; -1 where there is none */
    int end_fd; /* its end of file means: stop; -1 for none */
    bool is_open, ended;
    char path[64];
    uint64_t waited_ns;
} pty_t;

enum {
    PTY_READABLE = 1,
    PTY_OPENED = 2, /* a program opened the port that nobody had open: DTR rises, the board is reset */
    PTY_CLOSED = 4
};

/* Returns false with errno set. `end_fd` as in pty_t. */
bool pty_create(pty_t *pty, int end_fd);
void pty_destroy(pty_t *pty);

/* What happened, waiting up to `timeout_ns` for anything; a signal ends the wait. Bytes from the host count only
 * while `want_input`. */
unsigned pty_poll(pty_t *pty, bool want_input, uint64_t timeout_ns);

/* Waits for bytes from the host alone. */
bool pty_wait_readable(pty_t *pty, uint64_t timeout_ns);

/* Bytes read now, 0 when there are none. */
size_t pty_read(pty_t *pty, uint8_t *bytes, size_t limit);

/* Bytes that the host's side took; waits up to a second for room, since the simulation may outrun a busy host. */
size_t pty_write(pty_t *pty, const uint8_t *bytes, size_t count);

/* The baud rate set by whoever has the port open, 0 when it was never set. */
uint32_t pty_baud(const pty_t *pty);

#endif
