#if defined(__AVR__) && defined(ARDUINO)

#include "uart_avr.h"

#include <avr/interrupt.h>
#include <avr/io.h>
#include <util/atomic.h>
#include <util/delay_basic.h>

#include "ram_avr.h"

#ifdef USART_RX_vect
#define RX_VECTOR USART_RX_vect
#define TX_VECTOR USART_UDRE_vect
#else
#define RX_VECTOR USART0_RX_vect
#define TX_VECTOR USART0_UDRE_vect
#endif

#define LISTENING (_BV(RXCIE0) | _BV(RXEN0) | _BV(TXEN0))
#define SENDING   (LISTENING | _BV(UDRIE0))

/* Rounded to nearest. */
#define DIVISOR(baud) ((uint8_t)((F_CPU / 4 / (baud)-1) / 2))

/* A power of two. A RESULT of ten classes fits, so that sending one holds nothing up. */
#define TX_BYTES 64
#define TX_MASK  (TX_BYTES - 1)

static uint8_t rx_ring[RAM_RX_BYTES];
static uint8_t *volatile rx_head = rx_ring; /* written by the interrupt: where the next byte goes */
static uint8_t *volatile rx_tail = rx_ring; /* where the next byte is */
static volatile uint16_t overruns;

static uint8_t tx_ring[TX_BYTES];
static volatile uint8_t tx_head; /* where the next byte goes */
static volatile uint8_t tx_tail; /* written by the interrupt: where the next byte is */
static uint32_t passed_on;       /* bytes: received and dropped, or written */

/* The three general purpose registers keep what the interrupts displace: half as long as the stack would take. No
 * interrupt here lets another in, so they can share them. */
#define KEPT                                                                                                           \
    [kept0] "I"(_SFR_IO_ADDR(GPIOR0)), [kept1] "I"(_SFR_IO_ADDR(GPIOR1)), [kept2] "I"(_SFR_IO_ADDR(GPIOR2)),           \
        [sreg] "I"(_SFR_IO_ADDR(SREG))

/* The status belongs to the byte that the next read of UDR0 takes. A byte that finds the ring full is read, or the
 * interrupt would not end, and lies in the free place between head and tail until the next one comes. */
ISR(RX_VECTOR, ISR_NAKED)
{
    __asm__ volatile("out %[kept0], r24\n\t"
                     "in r24, %[sreg]\n\t"
                     "out %[kept1], r24\n\t"
                     "out %[kept2], r30\n\t"
                     "push r31\n\t"
                     "lds r30, %[head]\n\t"
                     "lds r31, %[head] + 1\n\t"
                     "lds r24, %[status]\n\t"
                     "sbrc r24, %[dor]\n\t"
                     "rjmp 5f\n"
                     "1:\n\t"
                     "lds r24, %[data]\n\t"
                     "st Z+, r24\n\t"
                     "cpi r30, lo8(%[end])\n\t"
                     "breq 6f\n"
                     "2:\n\t"
                     "lds r24, %[tail]\n\t"
                     "cp r24, r30\n\t"
                     "breq 7f\n"
                     "3:\n\t"
                     "sts %[head], r30\n\t"
                     "sts %[head] + 1, r31\n"
                     "4:\n\t"
                     "pop r31\n\t"
                     "in r30, %[kept2]\n\t"
                     "in r24, %[kept1]\n\t"
                     "out %[sreg], r24\n\t"
                     "in r24, %[kept0]\n\t"
                     "reti\n"
                     "5:\n\t" /* the chip's FIFO was full */
                     "rcall 8f\n\t"
                     "rjmp 1b\n"
                     "6:\n\t" /* perhaps the ring's end */
                     "ldi r24, hi8(%[end])\n\t"
                     "cpse r31, r24\n\t"
                     "rjmp 2b\n\t"
                     "ldi r30, lo8(%[ring])\n\t"
                     "ldi r31, hi8(%[ring])\n\t"
                     "rjmp 2b\n"
                     "7:\n\t" /* perhaps full */
                     "lds r24, %[tail] + 1\n\t"
                     "cpse r24, r31\n\t"
                     "rjmp 3b\n\t"
                     "rcall 8f\n\t"
                     "rjmp 4b\n"
                     "8:\n\t"
                     "lds r24, %[overruns]\n\t"
                     "subi r24, 0xFF\n\t"
                     "sts %[overruns], r24\n\t"
                     "lds r24, %[overruns] + 1\n\t"
                     "sbci r24, 0xFF\n\t"
                     "sts %[overruns] + 1, r24\n\t"
                     "ret\n"
                     :
                     : KEPT, [status] "n"(_SFR_MEM_ADDR(UCSR0A)), [data] "n"(_SFR_MEM_ADDR(UDR0)), [dor] "I"(DOR0),
                       [head] "i"(&rx_head), [tail] "i"(&rx_tail), [ring] "i"(rx_ring),
                       [end] "i"(rx_ring + RAM_RX_BYTES), [overruns] "i"(&overruns));
}

/* On only while there is something to send; the last byte turns it off. As long as the other one. */
ISR(TX_VECTOR, ISR_NAKED)
{
    __asm__ volatile("out %[kept0], r30\n\t"
                     "in r30, %[sreg]\n\t"
                     "out %[kept1], r30\n\t"
                     "push r31\n\t"
                     "lds r30, %[tail]\n\t"
                     "ldi r31, 0\n\t"
                     "subi r30, lo8(-(%[ring]))\n\t"
                     "sbci r31, hi8(-(%[ring]))\n\t"
                     "ld r31, Z\n\t"
                     "sts %[data], r31\n\t"
                     "lds r30, %[tail]\n\t"
                     "inc r30\n\t"
                     "andi r30, %[mask]\n\t"
                     "sts %[tail], r30\n\t"
                     "lds r31, %[head]\n\t"
                     "cp r30, r31\n\t"
                     "ldi r31, %[sending]\n\t"
                     "brne 1f\n\t"
                     "ldi r31, %[listening]\n"
                     "1:\n\t"
                     "sts %[control], r31\n\t"
                     "nop\n\t"
                     "pop r31\n\t"
                     "in r30, %[kept1]\n\t"
                     "out %[sreg], r30\n\t"
                     "in r30, %[kept0]\n\t"
                     "reti\n"
                     :
                     : KEPT, [data] "n"(_SFR_MEM_ADDR(UDR0)), [control] "n"(_SFR_MEM_ADDR(UCSR0B)),
                       [sending] "M"(SENDING), [listening] "M"(LISTENING), [mask] "M"(TX_MASK), [head] "i"(&tx_head),
                       [tail] "i"(&tx_tail), [ring] "i"(tx_ring));
}

/* The last byte has then left the ring, but perhaps not the chip: two characters at the old rate are on their way at
 * most. */
static void wait_until_sent(void)
{
    while (tx_tail != tx_head)
        ;
    _delay_loop_2((uint16_t)((UBRR0 + 1u) * 2u * 10u * 8u / 4u));
}

/* Not inlined, since it is called rarely and from several places: flash. */
void __attribute__((noinline)) uart_begin(uint32_t baud)
{
    wait_until_sent();
    /* Double speed, whose finer divisor comes closer to 115200 at 16 MHz. Before UBRR0, because simavr takes the rate
     * when UBRR0 is written. UBRR0H first, as the data sheet asks. No division: it would be the only one. */
    const uint8_t thousands = (uint8_t)(baud >> 16); /* tells the four apart */
    const uint8_t divisor = thousands == 1000000UL >> 16  ? DIVISOR(1000000UL)
                            : thousands == 500000UL >> 16 ? DIVISOR(500000UL)
                            : thousands == 250000UL >> 16 ? DIVISOR(250000UL)
                                                          : DIVISOR(115200UL);
    UCSR0A = _BV(U2X0);
    UBRR0H = 0;
    UBRR0L = divisor;
    UCSR0C = _BV(UCSZ01) | _BV(UCSZ00);
    UCSR0B = LISTENING;
}

static uint8_t *head_now(void)
{
    uint8_t *head;
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE)
    {
        head = rx_head;
    }
    return head;
}

uint16_t uart_peek(const uint8_t **bytes)
{
    const uint8_t *const tail = rx_tail;
    const uint8_t *const head = head_now();
    *bytes = tail;
    return (uint16_t)((head >= tail ? head : rx_ring + RAM_RX_BYTES) - tail);
}

void uart_drop(uint16_t count)
{
    uint8_t *const tail = rx_tail + count;
    passed_on += count;
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE)
    {
        rx_tail = tail == rx_ring + RAM_RX_BYTES ? rx_ring : tail;
    }
}

void uart_write(const uint8_t *bytes, uint16_t count)
{
    passed_on += count;
    for (; count; count--) {
        const uint8_t next = (uint8_t)((tx_head + 1) & TX_MASK);
        while (next == tx_tail)
            ;
        tx_ring[tx_head] = *bytes++;
        /* At once, or the interrupt could send the byte and turn itself off before it is turned on. */
        ATOMIC_BLOCK(ATOMIC_FORCEON)
        {
            tx_head = next;
            UCSR0B = SENDING;
        }
    }
}

uint8_t uart_is_empty(void)
{
    return rx_head == rx_tail;
}

uint16_t uart_overruns(void)
{
    uint16_t value;
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE)
    {
        value = overruns;
    }
    return value;
}

uint32_t uart_interrupts(void)
{
    int16_t waiting = (int16_t)(rx_head - rx_tail);
    if (waiting < 0)
        waiting = (int16_t)(waiting + (int16_t)RAM_RX_BYTES);
    const uint8_t unsent = (tx_head - tx_tail) & TX_MASK;
    return passed_on + (uint32_t)(int32_t)(int16_t)(waiting - unsent);
}

#endif
