/* Sums of three bytes that stay in registers from r2 on, `sum` being the lowest of its three. A file says with LOAD,
 * before it includes this, how its block in flash is read: near blocks with LPM on every chip, far ones with LOAD_FAR. */
#ifndef NN_AVR_SUMS24_H
#define NN_AVR_SUMS24_H

#include "nn_avr_macros.h"

.macro EACH_SUM operation, count, sum=2
    \operation \sum
  .if \count > 1
    EACH_SUM \operation, (\count-1), (\sum+3)
  .endif
.endm

.macro LOAD_BIAS sum
    LOAD \sum, Z+
    LOAD \sum + 1, Z+
    LOAD \sum + 2, Z+
.endm

.macro STORE_SUM sum
    st X+, \sum
    st X+, \sum + 1
    st X+, \sum + 2
.endm

#endif
