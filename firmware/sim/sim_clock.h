/* How simulated time follows the wall clock. A working board runs as fast as the PC can; a sleeping one with a silent
 * line lives at wall-clock pace, so that its timers and the host's agree; `realtime` holds all of it to that pace. */
#ifndef SIM_CLOCK_H
#define SIM_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include <sim_avr.h>

typedef struct {
    const avr_t *avr;
    bool realtime;
    uint64_t started_ns, wall_ns;
    avr_cycle_count_t cycle;
    int64_t credit_ns; /* wall time that simulated time has not used */
} board_clock;

void clock_start(board_clock *clock, const avr_t *avr, bool realtime);

/* Accounts for both times since the last call. */
void clock_update(board_clock *clock);

/* Wall time to wait before `cycles` more may pass; 0 when they already may. */
uint64_t clock_wait_ns(const board_clock *clock, avr_cycle_count_t cycles);

/* Cycles that may pass by now, at most `limit`. */
avr_cycle_count_t clock_allowance(const board_clock *clock, avr_cycle_count_t limit);

double clock_wall_s(const board_clock *clock);

#endif
