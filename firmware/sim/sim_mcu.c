#include "sim_mcu.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sim_core.h>

#define SREG_I                7
#define MCUSR                 0x54
#define IDLE_WITHOUT_TIMER_US 20000u
#define WAKE_CYCLES           4u /* datasheet, "Interrupt Response Time": four more when woken from sleep */

static mcu_t *mcu_of(avr_t *avr)
{
    return avr->custom.data;
}

/* libsimavr reports every fault of the program here; it does not stop for all of them. */
static void log_fault(avr_t *avr, const int level, const char *format, va_list arguments)
{
    char text[MCU_REASON_BYTES];
    const char *from;
    size_t out = 0;
    mcu_t *mcu = avr ? mcu_of(avr) : NULL;

    if (!mcu || level != LOG_ERROR || mcu->reason[0] || !strcmp(format, "%s\n")) /* the last: a bare function name */
        return;
    if (vsnprintf(text, sizeof text, format, arguments) < 0)
        return;
    from = strstr(text, "*** ");
    for (const char *p = from ? from + 4 : text; *p; p++) { /* drops colours and line ends */
        if (*p == '\033')
            while (*p && *p != 'm')
                p++;
        else if (*p >= ' ')
            mcu->reason[out++] = *p;
        if (!*p)
            break;
    }
    mcu->reason[out] = '\0';
    if (strstr(format, "Invalid Opcode"))
        avr->state = cpu_Crashed;
}

/* Acceptance pushes the return address and fetches the vector; libsimavr does it in no time. */
static void charge_interrupt(struct avr_irq_t *irq, uint32_t vector, void *context)
{
    mcu_t *mcu = context;
    avr_t *avr = mcu->avr;

    (void)irq;
    if (!vector || avr->sreg[SREG_I])
        return; /* also raised on RETI, when nested */
    avr->cycle += mcu->entry_cost;
    avr->run_cycle_count = avr->run_cycle_count > mcu->entry_cost ? avr->run_cycle_count - mcu->entry_cost : 1;
}

static void service(avr_t *avr)
{
    const int8_t before = avr->interrupt_state;

    avr_service_interrupts(avr);
    /* A countdown that ends means: one instruction has run since SEI or RETI, so it is the interrupt's turn. */
    if (before < 0 && avr->interrupt_state > 0)
        avr_service_interrupts(avr);
}

/* Installed as avr->run, because libsimavr's watchdog replaces that pointer for one call to reset the core. */
static void run_batch(avr_t *avr)
{
    mcu_t *mcu = mcu_of(avr);
    const bool asleep = avr->state == cpu_Sleeping;

    mcu->idle = 0;
    if (avr->state == cpu_Running) {
        const avr_flashaddr_t next = avr_run_one(avr);
        if (avr->state == cpu_Crashed)
            return; /* keeps the guilty pc */
        avr->pc = next;
    }
    const avr_cycle_count_t due = avr_cycle_timer_process(avr);
    if (asleep && !avr->sreg[SREG_I])
        avr->state = cpu_Sleeping; /* libsimavr lets any interrupt wake it */
    if (avr->state == cpu_Sleeping)
        mcu->idle =
            avr->cycle_timers.timer ? due : (avr_cycle_count_t)avr->frequency * IDLE_WITHOUT_TIMER_US / 1000000u;
    else if (asleep)
        avr->cycle += WAKE_CYCLES;
    if (avr->interrupt_state)
        service(avr);
}

static void on_reset(avr_io_t *io)
{
    mcu_t *mcu = mcu_of(io->avr);

    io->avr->run_cycle_limit = mcu->batch; /* libsimavr's reset makes it one instruction */
    mcu->resets++;
}

/* libsimavr indexes flash and data with whatever the program computed; room for any address keeps that harmless. */
static bool widen_memories(avr_t *avr)
{
    const size_t flash_room = (avr->rampz ? (size_t)1 << 24 : (size_t)1 << 16) + 512;
    uint8_t *flash = calloc(1, flash_room);
    uint8_t *data = calloc(1, (size_t)1 << 16);

    if (!flash || !data) {
        free(flash);
        free(data);
        return false;
    }
    memcpy(flash, avr->flash, (size_t)avr->flashend + 3);
    memcpy(data, avr->data, (size_t)avr->ramend + 1);
    free(avr->flash);
    free(avr->data);
    avr->flash = flash;
    avr->data = data;
    return true;
}

void mcu_set_batch(mcu_t *mcu, avr_cycle_count_t cycles)
{
    mcu->batch = cycles;
    mcu->avr->run_cycle_limit = cycles;
}

bool mcu_create(mcu_t *mcu, const char *name, uint32_t f_cpu)
{
    memset(mcu, 0, sizeof *mcu);
    avr_global_logger_set(log_fault);
    avr_t *avr = avr_make_mcu_by_name(name);
    if (!avr)
        return false;
    mcu->avr = avr;
    avr_init(avr);
    avr->custom.data = mcu;
    if (!widen_memories(avr))
        return false;
    avr->frequency = f_cpu;
    avr->run = run_batch;
    mcu_set_batch(mcu, f_cpu / 1000u);
    mcu->ram_start = (uint16_t)(avr->ioend + 1u);
    mcu->entry_cost = avr->eind ? 5 : 4;
    mcu->reset_hook.kind = "board";
    mcu->reset_hook.reset = on_reset;
    avr_register_io(avr, &mcu->reset_hook);
    avr_irq_register_notify(avr->interrupts.irq + AVR_INT_IRQ_RUNNING, charge_interrupt, mcu);
    return true;
}

void mcu_destroy(mcu_t *mcu)
{
    avr_terminate(mcu->avr);
    free(mcu->avr);
    mcu->avr = NULL;
}

uint16_t mcu_stack_pointer(const mcu_t *mcu)
{
    return (uint16_t)(mcu->avr->data[R_SPL] | mcu->avr->data[R_SPH] << 8);
}

mcu_state mcu_step(mcu_t *mcu)
{
    avr_t *avr = mcu->avr;

    avr_run(avr);
    if (avr->state == cpu_Crashed) {
        if (!mcu->reason[0])
            snprintf(mcu->reason, sizeof mcu->reason, "ran off the end of flash");
        return MCU_CRASHED;
    }
    const uint16_t sp = mcu_stack_pointer(mcu);
    if (sp < mcu->ram_start) {
        snprintf(mcu->reason, sizeof mcu->reason, "the stack ran through all of RAM: SP 0x%04x, RAM starts at 0x%04x",
                 sp, mcu->ram_start);
        return MCU_CRASHED;
    }
    if (avr->state != cpu_Sleeping)
        return MCU_RUNNING;
    return avr->sreg[SREG_I] ? MCU_ASLEEP : MCU_HALTED;
}

void mcu_pass(mcu_t *mcu, avr_cycle_count_t cycles)
{
    mcu->avr->cycle += cycles;
    mcu->slept += cycles;
}

void mcu_reset_pin(mcu_t *mcu)
{
    const uint8_t flags = mcu->avr->data[MCUSR]; /* they add up until the program clears them */

    avr_reset(mcu->avr);
    mcu->avr->data[MCUSR] |= flags;
    avr_regbit_set(mcu->avr, mcu->avr->reset_flags.extrf);
}

avr_int_vector_t *mcu_find_vector(avr_t *avr, uint8_t number)
{
    for (int i = 0; i < avr->interrupts.vector_count; i++)
        if (avr->interrupts.vector[i]->vector == number)
            return avr->interrupts.vector[i];
    return NULL;
}

void mcu_own_register(avr_t *avr, avr_io_addr_t address, void *owner, avr_io_read_t read, avr_io_write_t write)
{
    const avr_io_addr_t index = AVR_DATA_TO_IO(address);

    avr->io[index].r.c = read;
    avr->io[index].r.param = owner;
    avr->io[index].w.c = write;
    avr->io[index].w.param = owner;
}
