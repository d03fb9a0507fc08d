#if defined(__AVR__) && defined(ARDUINO)

#include "board_avr.h"

#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include <avr/wdt.h>
#include <util/atomic.h>

#include "uart_avr.h"
#include "wire_ids.h"

#define PAINT         0xC5
#define CYCLES_PER_US (F_CPU / 1000000UL)
#define US_PER_TURN   (65536UL / CYCLES_PER_US)

/* Timer1's 16 bits are extended by its overflows. */
static volatile uint32_t turns;

/* The end of static data, from the linker script; only its address means anything. */
extern uint8_t __heap_start[];

/* Filled before .bss is cleared, hence kept out of it. */
static uint8_t reset_flags __attribute__((section(".noinit")));

void board_keep_reset_flags(void) __attribute__((naked, used, section(".init3")));
void board_paint_stack(void) __attribute__((naked, used, section(".init3")));

/* Optiboot since version 5 clears MCUSR and hands its value on in r2, which nothing has used yet in .init3. Without a
 * bootloader MCUSR still has it. A watchdog that caused the reset stays on with its shortest time, so it is turned off
 * here, before main could be too late. */
void board_keep_reset_flags(void)
{
    __asm__ volatile("sts %0, r2" : "=m"(reset_flags));
    if (MCUSR)
        reset_flags = MCUSR;
    MCUSR = 0;
    wdt_disable();
}

/* From the end of static data up to the stack pointer. In assembly, because C could use the stack. */
void board_paint_stack(void)
{
    __asm__ volatile("ldi r30, lo8(__heap_start)\n\t"
                     "ldi r31, hi8(__heap_start)\n\t"
                     "in r24, %[spl]\n\t"
                     "in r25, %[sph]\n\t"
                     "ldi r18, %[paint]\n"
                     "1:\n\t"
                     "st Z+, r18\n\t"
                     "cp r30, r24\n\t"
                     "cpc r31, r25\n\t"
                     "brlo 1b\n\t"
                     :
                     : [spl] "I"(_SFR_IO_ADDR(SPL)), [sph] "I"(_SFR_IO_ADDR(SPH)), [paint] "M"(PAINT)
                     : "r18", "r24", "r25", "r30", "r31", "memory");
}

ISR(TIMER1_OVF_vect)
{
    turns++;
}

void board_begin(void)
{
    /* Its interrupt each 1,024 us would be counted as inference. */
    TIMSK0 = 0;
    TCCR1A = 0;
    TCCR1B = _BV(CS10);
    TCNT1 = 0;
    TIFR1 = _BV(TOV1);
    TIMSK1 = _BV(TOIE1);
}

/* An overflow whose interrupt is still pending belongs to a small count, but not to one read just before it. */
static uint32_t read_clock(uint16_t *count)
{
    uint32_t high;
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE)
    {
        *count = TCNT1;
        high = turns;
        if ((TIFR1 & _BV(TOV1)) && *count < 0x8000u)
            high++;
    }
    return high;
}

uint32_t board_cycles(void)
{
    uint16_t count;
    const uint32_t high = read_clock(&count);
    return high << 16 | count;
}

uint32_t board_micros(void)
{
    uint16_t count;
    const uint32_t high = read_clock(&count);
    return high * US_PER_TURN + (uint16_t)(count / CYCLES_PER_US);
}

uint16_t board_stack_free(void)
{
    const volatile uint8_t *at = __heap_start;
    while (at < (const uint8_t *)SP && *at == PAINT)
        at++;
    return (uint16_t)(at - __heap_start);
}

uint16_t board_ram_static(void)
{
    return (uint16_t)(__heap_start - (const uint8_t *)RAMSTART);
}

uint8_t board_reset_cause(void)
{
    /* Power-on also sets the brown-out flag, and a bootloader may leave several. What is no set of these four flags is
     * whatever an older bootloader had in r2. */
    if (reset_flags & 0xF0u)
        return WIRE_RESET_UNKNOWN;
    if (reset_flags & _BV(PORF))
        return WIRE_RESET_POWER_ON;
    if (reset_flags & _BV(BORF))
        return WIRE_RESET_BROWN_OUT;
    if (reset_flags & _BV(EXTRF))
        return WIRE_RESET_EXTERNAL;
    return reset_flags & _BV(WDRF) ? WIRE_RESET_WATCHDOG : WIRE_RESET_UNKNOWN;
}

void board_sleep(void)
{
    cli();
    if (!uart_is_empty()) {
        sei();
        return;
    }
    /* No interrupt comes between SEI and the instruction behind it, so a byte cannot arrive unnoticed in between. */
    SMCR = _BV(SE); /* idle: clocks and interrupts of timer and line go on */
    sei();
    sleep_cpu();
    SMCR = 0;
}

#endif
