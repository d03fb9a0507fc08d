#include "sim_usart.h"

#include "sim_mcu.h"

#include <string.h>

#include <avr_uart.h>
#include <sim_interrupts.h>

enum {
    UCSRA = 0xC0,
    UCSRB = 0xC1,
    UCSRC = 0xC2,
    UBRRL = 0xC4,
    UBRRH = 0xC5,
    UDR = 0xC6
};
enum {
    RXC = 0x80,
    TXC = 0x40,
    UDRE = 0x20,
    FE = 0x10,
    DOR = 0x08,
    U2X = 0x02,
    MPCM = 0x01
};
enum {
    RXEN = 0x10,
    TXEN = 0x08,
    RXB8 = 0x02
};
#define UCSRC_8N1 0x06

/* Takes a vector back out of the queue of pending interrupts; libsimavr only marks it, and a queue of stale marks
 * overflows when a program polls with its interrupts enabled. */
static void withdraw(avr_t *avr, avr_int_vector_t *vector)
{
    avr_int_pending_t *queue = &avr->interrupts.pending;
    uint16_t kept = queue->read;

    if (!vector->pending)
        return;
    vector->pending = 0;
    for (uint16_t i = queue->read; i != queue->write; i = (uint16_t)((i + 1) % avr_int_pending_fifo_size))
        if (queue->buffer[i] != vector) {
            queue->buffer[kept] = queue->buffer[i];
            kept = (uint16_t)((kept + 1) % avr_int_pending_fifo_size);
        }
    queue->write = kept;
}

static void apply_level(usart_t *u, avr_int_vector_t *vector, bool flag)
{
    if (flag && avr_regbit_get(u->avr, vector->enable))
        avr_raise_interrupt(u->avr, vector);
    else
        withdraw(u->avr, vector);
}

/* Registers and interrupt requests follow from the state; called after every change of it. */
static void publish(usart_t *u)
{
    const uint8_t kept = u->avr->data[UCSRA] & (U2X | MPCM);
    const bool received = u->fifo_count > 0;

    u->avr->data[UCSRA] = (uint8_t)(kept | (received ? RXC : 0) | (u->sent_all ? TXC : 0) | (u->buffered ? 0 : UDRE) |
                                    (received && u->fifo[0].framing_error ? FE : 0) | (u->overrun ? DOR : 0));
    apply_level(u, u->rxc, received);
    apply_level(u, u->udre, !u->buffered);
    apply_level(u, u->txc, u->sent_all);
}

/* A request was granted. RXC and UDRE are levels, so they ask again at once (unseen until the handler has read or
 * written UDR or returned); TXC is cleared by being served. */
static void on_served(struct avr_irq_t *irq, uint32_t pending, void *context)
{
    usart_t *u = context;

    if (pending)
        return;
    if (irq == u->txc->irq + AVR_INT_IRQ_PENDING)
        u->sent_all = false;
    publish(u);
}

static void accept_from_shift(usart_t *u)
{
    if (u->fifo_count == 2)
        return;
    u->fifo[u->fifo_count++] = u->shift;
    u->shift_full = false;
    u->overrun = false;
}

void usart_rx_start(usart_t *u)
{
    if (!(u->avr->data[UCSRB] & RXEN) || !u->shift_full)
        return;
    u->shift_full = false; /* the waiting character is overwritten */
    u->overrun = true;
    u->overruns++;
    publish(u);
}

void usart_rx_end(usart_t *u, uint8_t byte, bool framing_error)
{
    if (!(u->avr->data[UCSRB] & RXEN))
        return;
    u->misconfigured += u->avr->data[UCSRC] != UCSRC_8N1;
    u->framing_errors += framing_error;
    u->shift = (usart_char){byte, framing_error};
    u->shift_full = true;
    accept_from_shift(u);
    publish(u);
}

uint32_t usart_bit_cycles(const usart_t *u)
{
    const uint32_t divisor = (uint32_t)(u->avr->data[UBRRL] | (u->avr->data[UBRRH] & 0x0F) << 8) + 1u;

    return divisor * (u->avr->data[UCSRA] & U2X ? 8u : 16u);
}

static avr_cycle_count_t transmitted(avr_t *avr, avr_cycle_count_t when, void *context)
{
    usart_t *u = context;

    (void)avr;
    u->on_sent(u->line, u->sending_byte, when);
    u->sending = u->buffered;
    u->sending_byte = u->buffered_byte;
    u->sent_all = !u->buffered;
    u->buffered = false;
    publish(u);
    return u->sending ? when + USART_FRAME_BITS * usart_bit_cycles(u) : 0;
}

static void write_data(avr_t *avr, avr_io_addr_t address, uint8_t value, void *context)
{
    usart_t *u = context;

    (void)address;
    if (!(avr->data[UCSRB] & TXEN) || u->buffered)
        return; /* as on the chip, a write while UDRE is 0 is lost */
    u->misconfigured += avr->data[UCSRC] != UCSRC_8N1;
    if (u->sending) {
        u->buffered = true;
        u->buffered_byte = value;
    } else {
        u->sending = true;
        u->sending_byte = value;
        avr_cycle_timer_register(avr, USART_FRAME_BITS * usart_bit_cycles(u), transmitted, u);
    }
    publish(u);
}

static uint8_t read_data(avr_t *avr, avr_io_addr_t address, void *context)
{
    usart_t *u = context;

    (void)address;
    if (!u->fifo_count)
        return avr->data[UDR];
    const uint8_t byte = u->fifo[0].byte;
    u->fifo[0] = u->fifo[1];
    u->fifo_count--;
    u->overrun = false;
    if (u->shift_full)
        accept_from_shift(u);
    publish(u);
    return byte;
}

static void write_status(avr_t *avr, avr_io_addr_t address, uint8_t value, void *context)
{
    usart_t *u = context;

    avr->data[address] = value & (U2X | MPCM);
    if (value & TXC)
        u->sent_all = false;
    publish(u);
}

static void write_control(avr_t *avr, avr_io_addr_t address, uint8_t value, void *context)
{
    usart_t *u = context;

    avr->data[address] = (uint8_t)(value & ~RXB8);
    if (!(value & RXEN)) {
        u->fifo_count = 0;
        u->shift_full = u->overrun = false;
    }
    publish(u);
}

static void on_reset(avr_io_t *io)
{
    usart_t *u = (usart_t *)(void *)io;

    u->fifo_count = 0;
    u->shift_full = u->overrun = u->sending = u->buffered = u->sent_all = false;
    io->avr->data[UCSRC] = UCSRC_8N1;
    publish(u);
    u->on_reset(u->line);
}

/* Which vectors a chip has is libsimavr's to know; returns its USART0, whose reset does nothing from now on, or NULL.
 */
static const avr_uart_t *their_usart(avr_t *avr)
{
    for (avr_io_t *io = avr->io_port; io; io = io->next)
        if (io->irq_ioctl_get == AVR_IOCTL_UART_GETIRQ('0')) {
            io->reset = NULL;
            return (const avr_uart_t *)(const void *)io;
        }
    return NULL;
}

bool usart_attach(usart_t *u, avr_t *avr, void *line, usart_sent on_sent, usart_was_reset was_reset)
{
    const avr_uart_t *const theirs = their_usart(avr);

    memset(u, 0, sizeof *u);
    u->avr = avr;
    u->line = line;
    u->on_sent = on_sent;
    u->on_reset = was_reset;
    if (!theirs || theirs->rxc.raised.reg != UCSRA || theirs->txc.raised.reg != UCSRA)
        return false;
    u->rxc = mcu_find_vector(avr, theirs->rxc.vector);
    u->udre = mcu_find_vector(avr, theirs->udrc.vector);
    u->txc = mcu_find_vector(avr, theirs->txc.vector);
    if (!u->rxc || !u->udre || !u->txc)
        return false;
    mcu_own_register(avr, UDR, u, read_data, write_data);
    mcu_own_register(avr, UCSRA, u, NULL, write_status);
    mcu_own_register(avr, UCSRB, u, NULL, write_control);
    mcu_own_register(avr, UBRRL, u, NULL, NULL);
    u->io.kind = "usart0";
    u->io.reset = on_reset;
    avr_register_io(avr, &u->io);
    avr_irq_register_notify(u->rxc->irq + AVR_INT_IRQ_PENDING, on_served, u);
    avr_irq_register_notify(u->udre->irq + AVR_INT_IRQ_PENDING, on_served, u);
    avr_irq_register_notify(u->txc->irq + AVR_INT_IRQ_PENDING, on_served, u);
    publish(u);
    return true;
}
