#include "sim_clock.h"

#include <time.h>

#define NS_PER_S 1000000000
/* A board that was held up (the PC was busy, the host was thinking) does not make up for more than this. */
#define CREDIT_MAX_NS 20000000

static uint64_t wall_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static int64_t cycles_to_ns(const board_clock *clock, avr_cycle_count_t cycles)
{
    return (int64_t)((double)cycles * NS_PER_S / clock->avr->frequency);
}

void clock_start(board_clock *clock, const avr_t *avr, bool realtime)
{
    const uint64_t now = wall_now_ns();

    *clock = (board_clock){.avr = avr, .realtime = realtime, .started_ns = now, .wall_ns = now, .cycle = avr->cycle};
}

void clock_update(board_clock *clock)
{
    const uint64_t now = wall_now_ns();

    clock->credit_ns += (int64_t)(now - clock->wall_ns) - cycles_to_ns(clock, clock->avr->cycle - clock->cycle);
    clock->wall_ns = now;
    clock->cycle = clock->avr->cycle;
    if (clock->credit_ns > CREDIT_MAX_NS)
        clock->credit_ns = CREDIT_MAX_NS;
    if (clock->credit_ns < 0 && !clock->realtime)
        clock->credit_ns = 0; /* ran ahead while it worked: forgiven */
}

uint64_t clock_wait_ns(const board_clock *clock, avr_cycle_count_t cycles)
{
    const int64_t missing = cycles_to_ns(clock, cycles) - clock->credit_ns;

    return missing > 0 ? (uint64_t)missing : 0;
}

avr_cycle_count_t clock_allowance(const board_clock *clock, avr_cycle_count_t limit)
{
    if (clock->credit_ns <= 0)
        return 0;
    if (clock->credit_ns >= cycles_to_ns(clock, limit))
        return limit;
    return (avr_cycle_count_t)((double)clock->credit_ns * clock->avr->frequency / NS_PER_S);
}

double clock_wall_s(const board_clock *clock)
{
    return (double)(wall_now_ns() - clock->started_ns) / NS_PER_S;
}
