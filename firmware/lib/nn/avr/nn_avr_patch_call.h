/* How C calls a kernel of type nn_avr_patch24 (nn_avr.h), and how such a kernel goes through its block: Y is the patch,
 * Z and RAMPZ the block, X the inputs, and the top of the stack &sums. */
#ifndef NN_AVR_PATCH_CALL_H
#define NN_AVR_PATCH_CALL_H

#include "nn_avr_macros.h"

#define LOAD LOAD_FAR
#include "nn_avr_sums24.h"

#define ZERO 25 /* once ENTER_PATCH has read its arguments */

.macro ENTER_PATCH
    SAVE_FROM 2
    push FAR_FOURTH
    push FAR_FOURTH + 1
    movw r26, r24
    movw r28, r22
    TAKE_FAR
.endm

; Z += high:low; r0 is lost where flash is far
.macro SKIP low, high
    add r30, \low
    adc r31, \high
#if defined(__AVR_HAVE_ELPM__)
    in r0, RAMPZ
    adc r0, ZERO
    out RAMPZ, r0
#endif
.endm

; Writes the first `count` sums and returns.
.macro LEAVE_PATCH count
    EACH_SUM STORE_SUM, \count
    clr r1
    RETURN_FROM 2
.endm

#endif
