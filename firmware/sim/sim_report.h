/* The simulated board's counters as one JSON object, replaced as a whole each time. */
#ifndef SIM_REPORT_H
#define SIM_REPORT_H

#include <stdbool.h>

#include "sim_clock.h"
#include "sim_line.h"
#include "sim_mcu.h"

/* Returns false with errno set; the old file, if any, then stands. */
bool report_write(const char *path, const char *mcu_name, const mcu_t *mcu, const line_t *line,
                  const board_clock *clock);

#endif
