#if defined(__AVR__) && defined(ARDUINO)

#include "board_avr.h"

#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include <avr/wdt.h>
#include <util/atomic.h>

#include "uart_avr.h"
#include "wire_ids.h"

/* Longer than the slowest inference of which a host would wait for the result. */
#if !defined(BOARD_WATCHDOG)
#define BOARD_WATCHDOG WDTO_8S
#endif
#define WATCHDOG_PERIOD (((BOARD_WATCHDOG & 8) << 2) | (BOARD_WATCHDOG & 7))

#define PAINT         0xC5
#define CYCLES_PER_US (F_CPU / 1000000UL)
#define US_PER_TURN   (65536UL / CYCLES_PER_US)

/* Timer1's 16 bits are extended by its overflows: 24 bits of them, enough for microseconds to wrap at 2^32. */
static volatile uint32_t turns;

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

/* turns++, in as many cycles as the interrupts of uart_avr.c take, but for one time in 256. The registers are kept as
 * there. */
ISR(TIMER1_OVF_vect, ISR_NAKED)
{
    __asm__ volatile("out %[kept0], r24\n\t"
                     "in r24, %[sreg]\n\t"
                     "out %[kept1], r24\n\t"
                     "lds r24, %[turns]\n\t"
                     "inc r24\n\t"
                     "sts %[turns], r24\n\t"
                     "breq 2f\n"
                     "1:\n\t"
                     "ldi r24, 7\n"
                     "3:\n\t"
                     "dec r24\n\t"
                     "brne 3b\n\t"
                     "nop\n\t"
                     "in r24, %[kept1]\n\t"
                     "out %[sreg], r24\n\t"
                     "in r24, %[kept0]\n\t"
                     "reti\n"
                     "2:\n\t"
                     "lds r24, %[turns] + 1\n\t"
                     "inc r24\n\t"
                     "sts %[turns] + 1, r24\n\t"
                     "brne 1b\n\t"
                     "lds r24, %[turns] + 2\n\t"
                     "inc r24\n\t"
                     "sts %[turns] + 2, r24\n\t"
                     "rjmp 1b\n"
                     :
                     : [kept0] "I"(_SFR_IO_ADDR(GPIOR0)), [kept1] "I"(_SFR_IO_ADDR(GPIOR1)),
                       [sreg] "I"(_SFR_IO_ADDR(SREG)), [turns] "i"(&turns));
}

/* The program hangs. It begins anew at its own first instruction, with the cause in r2 as Optiboot would have it: a
 * reset of the chip would run the bootloader, and old ones leave the watchdog on and are reset by it for ever. Where
 * interrupts are off for good, the next period does reset the chip. */
ISR(WDT_vect, ISR_NAKED)
{
    __asm__ volatile("ldi r24, %[watchdog]\n\t"
                     "mov r2, r24\n\t"
                     "jmp 0\n\t"
                     :
                     : [watchdog] "M"(_BV(WDRF)));
}

static void start_watchdog(void)
{
    /* The chip takes the second value only within four cycles of the first. */
    __asm__ volatile("wdr\n\t"
                     "sts %[control], %[change]\n\t"
                     "sts %[control], %[on]\n\t"
                     :
                     : [control] "n"(_SFR_MEM_ADDR(WDTCSR)), [change] "r"((uint8_t)(_BV(WDCE) | _BV(WDE))),
                       [on] "r"((uint8_t)(_BV(WDIE) | _BV(WDE) | WATCHDOG_PERIOD)));
}

void board_begin(void)
{
    start_watchdog();
    TCCR1A = 0;
    TCCR1B = _BV(CS10);
    TCNT1 = 0;
    TIFR1 = _BV(TOV1);
    TIMSK1 = _BV(TOIE1);
}

/* Returns the turns and what Timer1 has counted since; *interrupts is what there was of them. */
static uint32_t read_clock(uint16_t *count, uint32_t *interrupts)
{
    uint32_t high;
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE)
    {
        *count = TCNT1;
        *interrupts = uart_interrupts();
        high = turns;
        /* An overflow whose interrupt is still pending belongs to a small count, but not to one read just before. */
        if ((TIFR1 & _BV(TOV1)) && *count < 0x8000u)
            high++;
    }
    return high;
}

uint32_t board_cycles(void)
{
    uint16_t count;
    uint32_t interrupts;
    const uint32_t high = read_clock(&count, &interrupts);
    return (high << 16 | count) - (high + interrupts) * UART_INTERRUPT_CYCLES;
}

uint32_t board_micros(void)
{
    uint16_t count;
    uint32_t interrupts;
    const uint32_t high = read_clock(&count, &interrupts);
    return high * US_PER_TURN + (uint16_t)(count / CYCLES_PER_US);
}

uint16_t board_stack_free(void)
{
    const volatile uint8_t *at = __heap_start;
    while (at < (const uint8_t *)SP && *at == PAINT)
        at++;
    return (uint16_t)(at - __heap_start);
}

uint8_t board_is_stack_whole(void)
{
    const volatile uint8_t *const lowest = __heap_start;
    return lowest[0] == PAINT && lowest[1] == PAINT;
}

uint8_t board_reset_cause(void)
{
    /* What is no set of these four flags is whatever an older bootloader had in r2. Several may be set: power-on comes
     * first, and it has the lowest bit. */
    return reset_flags & 0xF0u ? WIRE_RESET_UNKNOWN : (uint8_t)(reset_flags & -reset_flags);
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
