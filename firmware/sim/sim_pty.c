#include "sim_pty.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <asm/termbits.h> /* termios2: any baud rate; <termios.h> cannot be included beside it */
#include <sys/inotify.h>
#include <sys/ioctl.h>

#define NEVER_SET_BAUD 7u       /* left in the terminal until a program sets a rate of its own */
#define BLIND_POLL_NS  2000000u /* without a watch: how often a closed port is looked at */
#define NS_PER_S       1000000000ull

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static int wait_for(pty_t *pty, struct pollfd *fds, nfds_t count, uint64_t timeout_ns)
{
    const struct timespec timeout = {(time_t)(timeout_ns / NS_PER_S), (long)(timeout_ns % NS_PER_S)};
    const uint64_t start = timeout_ns ? now_ns() : 0;
    const int ready = ppoll(fds, count, &timeout, NULL);

    if (timeout_ns)
        pty->waited_ns += now_ns() - start;
    return ready;
}

/* Raw, no echo, no rate; and nothing left over from the program that closed it. Goes through the slave, because only
 * its own end can discard what it has received. */
static bool make_fresh(const pty_t *pty)
{
    struct termios2 raw = {.c_cflag = CS8 | CREAD | CLOCAL | BOTHER | BOTHER << IBSHIFT,
                           .c_ispeed = NEVER_SET_BAUD,
                           .c_ospeed = NEVER_SET_BAUD};
    const int slave = open(pty->path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

    raw.c_cc[VMIN] = 1;
    if (slave < 0)
        return false;
    ioctl(slave, TCFLSH, TCIFLUSH);
    const bool set = ioctl(slave, TCSETS2, &raw) == 0;
    close(slave);
    return set;
}

bool pty_create(pty_t *pty, int end_fd)
{
    memset(pty, 0, sizeof *pty);
    pty->watch = -1;
    pty->end_fd = end_fd;
    pty->master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (pty->master < 0 || grantpt(pty->master) || unlockpt(pty->master))
        return false;
    if (ptsname_r(pty->master, pty->path, sizeof pty->path) || !make_fresh(pty))
        return false;
    pty->watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (pty->watch >= 0 && inotify_add_watch(pty->watch, pty->path, IN_OPEN | IN_CLOSE) < 0) {
        close(pty->watch);
        pty->watch = -1;
    }
    return true;
}

void pty_destroy(pty_t *pty)
{
    if (pty->watch >= 0)
        close(pty->watch);
    close(pty->master);
}

/* True when a close was followed by an open since the last call, which the state alone does not show. */
static bool drain_watch(const pty_t *pty)
{
    _Alignas(struct inotify_event) char events[4096];
    bool closed = false, reopened = false;
    ssize_t count;

    while ((count = read(pty->watch, events, sizeof events)) > 0)
        for (const char *at = events; at < events + count;) {
            const struct inotify_event *event = (const void *)at;
            reopened |= closed && (event->mask & IN_OPEN);
            closed |= (event->mask & IN_CLOSE) != 0;
            at += sizeof *event + event->len;
        }
    return reopened;
}

static unsigned notice_open_close(pty_t *pty, bool reopened)
{
    struct pollfd master = {.fd = pty->master, .events = 0};
    const bool was_open = pty->is_open;

    poll(&master, 1, 0);
    pty->is_open = !(master.revents & POLLHUP);
    if (pty->is_open)
        return was_open && !reopened ? 0 : PTY_OPENED;
    if (!was_open)
        return 0;
    make_fresh(pty);
    return PTY_CLOSED;
}

static void notice_end(pty_t *pty)
{
    char ignored[256];
    const ssize_t count = read(pty->end_fd, ignored, sizeof ignored);

    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR))
        pty->ended = true;
}

unsigned pty_poll(pty_t *pty, bool want_input, uint64_t timeout_ns)
{
    /* A closed master reports a hang-up all the time, so it is left out then. */
    const uint64_t limit = pty->is_open || pty->watch >= 0 ? timeout_ns : BLIND_POLL_NS;
    struct pollfd fds[3] = {{.fd = pty->is_open ? pty->master : -1, .events = want_input ? POLLIN : 0},
                            {.fd = pty->watch, .events = POLLIN},
                            {.fd = pty->ended ? -1 : pty->end_fd, .events = POLLIN}};
    unsigned happened = 0;

    if (wait_for(pty, fds, 3, timeout_ns < limit ? timeout_ns : limit) < 0)
        return 0;
    if (fds[2].revents)
        notice_end(pty);
    if (fds[1].revents || (fds[0].revents & POLLHUP) || pty->watch < 0)
        happened = notice_open_close(pty, pty->watch >= 0 && drain_watch(pty));
    if (fds[0].revents & POLLIN)
        happened |= PTY_READABLE;
    return happened;
}

bool pty_wait_readable(pty_t *pty, uint64_t timeout_ns)
{
    struct pollfd master = {.fd = pty->master, .events = POLLIN};

    return wait_for(pty, &master, 1, timeout_ns) > 0 && (master.revents & POLLIN);
}

size_t pty_read(pty_t *pty, uint8_t *bytes, size_t limit)
{
    const ssize_t count = read(pty->master, bytes, limit);

    return count > 0 ? (size_t)count : 0;
}

size_t pty_write(pty_t *pty, const uint8_t *bytes, size_t count)
{
    size_t written = 0;

    while (pty->is_open && written < count) {
        struct pollfd master = {.fd = pty->master, .events = POLLOUT};
        const ssize_t step = write(pty->master, bytes + written, count - written);
        if (step > 0)
            written += (size_t)step;
        else if (step < 0 && errno != EAGAIN && errno != EINTR)
            break;
        else if (wait_for(pty, &master, 1, NS_PER_S) <= 0 || (master.revents & POLLHUP))
            break;
    }
    return written;
}

uint32_t pty_baud(const pty_t *pty)
{
    struct termios2 state;

    if (ioctl(pty->master, TCGETS2, &state) || state.c_ospeed == NEVER_SET_BAUD)
        return 0;
    return state.c_ospeed;
}
