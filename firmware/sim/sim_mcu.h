/* One simulated AVR core: creation, images, stepping, and why it stopped. Knows libsimavr; knows no line, no host,
 * no wall clock. libsimavr's own gaps that matter here are closed in sim_mcu.c: interrupt entry costs cycles, one
 * instruction runs after SEI and RETI, stray addresses cannot leave its buffers, an invalid opcode stops. */
#ifndef SIM_MCU_H
#define SIM_MCU_H

#include <stdbool.h>
#include <stdint.h>

#include <sim_avr.h>

#define MCU_REASON_BYTES 160

typedef enum {
    MCU_RUNNING,
    MCU_ASLEEP, /* nothing happens for `idle` cycles: the caller lets at most that pass */
    MCU_HALTED, /* asleep with interrupts off: only a reset helps */
    MCU_CRASHED /* `reason` says why */
} mcu_state;

typedef struct {
    avr_t *avr;
    avr_cycle_count_t idle;       /* while asleep: nothing is due for so long */
    avr_cycle_count_t slept;      /* of avr->cycle: passed asleep */
    avr_cycle_count_t batch;      /* most cycles to run between two looks at the outside */
    uint16_t ram_start;           /* first address of SRAM */
    avr_cycle_count_t entry_cost; /* cycles from an interrupt's acceptance to its vector */
    avr_io_t reset_hook;
    uint32_t resets;
    char reason[MCU_REASON_BYTES];
} mcu_t;

/* Returns false when libsimavr does not know `name`. `mcu` must not move afterwards. */
bool mcu_create(mcu_t *mcu, const char *name, uint32_t f_cpu);
void mcu_destroy(mcu_t *mcu);

/* Most cycles that one mcu_step may run; 1 means one instruction. At first a simulated millisecond. */
void mcu_set_batch(mcu_t *mcu, avr_cycle_count_t cycles);

/* Runs a batch: until a peripheral has something to do, the core sleeps, or mcu->batch cycles are over. */
mcu_state mcu_step(mcu_t *mcu);

/* Lets `cycles` pass asleep. */
void mcu_pass(mcu_t *mcu, avr_cycle_count_t cycles);

/* The reset pin: SRAM stays, MCUSR gains EXTRF. */
void mcu_reset_pin(mcu_t *mcu);

/* For peripherals of our own. The vector with this number, NULL where the core has none; and hooks on a register, in
 * place of libsimavr's, which would refuse a second owner. NULL for none. */
avr_int_vector_t *mcu_find_vector(avr_t *avr, uint8_t number);
void mcu_own_register(avr_t *avr, avr_io_addr_t address, void *owner, avr_io_read_t read, avr_io_write_t write);

uint16_t mcu_stack_pointer(const mcu_t *mcu);

#endif
