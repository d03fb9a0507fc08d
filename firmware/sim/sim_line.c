#include "sim_line.h"

#include <string.h>

#define TOLERANCE_PERCENT    4u     /* beyond it the waveform decides, and characters go wrong from about 5 % */
#define IDLE_BITS            1000.0 /* long enough to end any character at any pair of rates */
#define AWAKE_SILENCE_FRAMES 8u
#define AWAKE_SILENCE_US     250u
#define PATIENCE_MAX_NS      20000000u
#define PATIENCE_MIN_NS      250000u

static uint32_t board_baud(const line_t *line)
{
    const uint32_t bit = usart_bit_cycles(&line->usart);

    return (line->mcu->avr->frequency + bit / 2) / bit;
}

static bool rates_differ(const line_t *line, uint32_t host_baud)
{
    const uint64_t board = board_baud(line), host = host_baud;
    const uint64_t gap = board > host ? board - host : host - board;

    return host && !line->any_baud && gap * 100 > board * TOLERANCE_PERCENT;
}

/* Cycles that the host's character takes on the wire; fractions are carried over to the next. */
static avr_cycle_count_t host_frame_cycles(line_t *line)
{
    if (!line->rx_baud || line->any_baud)
        return USART_FRAME_BITS * usart_bit_cycles(&line->usart);
    line->rx_remainder += (uint64_t)USART_FRAME_BITS * line->mcu->avr->frequency;
    const avr_cycle_count_t whole = line->rx_remainder / line->rx_baud;
    line->rx_remainder %= line->rx_baud;
    return whole ? whole : 1;
}

static void deliver(void *context, uint8_t byte, bool framing_error)
{
    line_t *line = context;

    usart_rx_start(&line->usart);
    usart_rx_end(&line->usart, byte, framing_error);
}

/* Reads ahead from the host. Where an answer is expected and the wire is empty, this is the moment at which simulated
 * time stands still; a host that keeps silent is waited for less and less. */
static bool refill(line_t *line)
{
    line->rx_next = 0;
    line->rx_count = pty_read(line->pty, line->rx, sizeof line->rx);
    if (!line->rx_count && line->expecting && line->hold_time && line->pty->is_open) {
        if (pty_wait_readable(line->pty, line->patience_ns))
            line->rx_count = pty_read(line->pty, line->rx, sizeof line->rx);
        else
            line->patience_ns = line->patience_ns / 2 > PATIENCE_MIN_NS ? line->patience_ns / 2 : PATIENCE_MIN_NS;
        line->expecting = false;
    }
    if (!line->rx_count)
        return false;
    line->expecting = false;
    line->patience_ns = PATIENCE_MAX_NS;
    line->rx_baud = pty_baud(line->pty);
    return true;
}

/* Puts the next character on the wire. */
static bool start_character(line_t *line)
{
    if (line->rx_next == line->rx_count && !refill(line))
        return false;
    if (!rates_differ(line, line->rx_baud))
        usart_rx_start(&line->usart);
    line->rx_active = true;
    return true;
}

static avr_cycle_count_t character_arrived(avr_t *avr, avr_cycle_count_t when, void *context)
{
    line_t *line = context;
    const uint8_t byte = line->rx[line->rx_next++];

    line->rx_active = false;
    line->bytes_in++;
    if (rates_differ(line, line->rx_baud)) {
        const double ratio = (double)usart_bit_cycles(&line->usart) * line->rx_baud / avr->frequency;
        line->garbled++;
        wave_send(&line->rx_wave, byte, ratio, deliver, line);
        if (line->rx_next == line->rx_count)
            wave_idle(&line->rx_wave, IDLE_BITS, ratio, deliver, line);
    } else
        usart_rx_end(&line->usart, byte, false);
    return start_character(line) ? when + host_frame_cycles(line) : 0;
}

void line_receive(line_t *line)
{
    if (!line->rx_active && start_character(line))
        avr_cycle_timer_register(line->mcu->avr, host_frame_cycles(line), character_arrived, line);
}

static void hand_over(line_t *line)
{
    if (!line->tx_count)
        return;
    line->bytes_unheard += line->tx_count - pty_write(line->pty, line->tx, line->tx_count);
    line->tx_count = 0;
}

static void append(void *context, uint8_t byte, bool framing_error)
{
    line_t *line = context;

    (void)framing_error; /* a terminal passes the character on all the same */
    if (line->tx_count == sizeof line->tx)
        hand_over(line);
    if (!line->tx_count)
        line->tx_since = line->tx_last;
    line->tx[line->tx_count++] = byte;
}

/* The line has been silent for a character or more: has the board said what it had to say? It has when it sleeps; one
 * that is awake may be composing the rest of a frame, or have begun to work on the next request. */
static avr_cycle_count_t fell_silent(avr_t *avr, avr_cycle_count_t when, void *context)
{
    line_t *line = context;
    const avr_cycle_count_t frame = (avr_cycle_count_t)USART_FRAME_BITS * usart_bit_cycles(&line->usart);
    const avr_cycle_count_t shortest = avr->frequency / 1000000u * AWAKE_SILENCE_US;
    const avr_cycle_count_t settled = AWAKE_SILENCE_FRAMES * frame > shortest ? AWAKE_SILENCE_FRAMES * frame : shortest;

    if (line->usart.sending)
        return 0; /* its own end comes */
    if (avr->state != cpu_Sleeping && when < line->tx_last + settled)
        return when + frame;
    wave_idle(&line->tx_wave, IDLE_BITS, 1.0, append, line);
    hand_over(line);
    line->expecting = true;
    line_receive(line);
    return 0;
}

static void on_sent(void *context, uint8_t byte, avr_cycle_count_t when)
{
    line_t *line = context;
    const uint32_t host = pty_baud(line->pty);
    const avr_cycle_count_t frame = (avr_cycle_count_t)USART_FRAME_BITS * usart_bit_cycles(&line->usart);

    line->bytes_out++;
    if (rates_differ(line, host)) {
        const double ratio = (double)line->mcu->avr->frequency / usart_bit_cycles(&line->usart) / host;
        line->garbled++;
        line->tx_last = when;
        wave_send(&line->tx_wave, byte, ratio, append, line);
    } else {
        line->tx_last = when;
        append(line, byte, false);
    }
    avr_cycle_timer_register(line->mcu->avr, frame, fell_silent, line);
}

static void on_reset(void *context)
{
    line_t *line = context;

    hand_over(line);
    line->tx_wave = (wave_t){0};
    if (line->rx_active) /* the reset forgot the timer; the host goes on sending all the same */
        avr_cycle_timer_register(line->mcu->avr, host_frame_cycles(line), character_arrived, line);
}

void line_flush_due(line_t *line)
{
    if (line->tx_count && line->mcu->avr->cycle - line->tx_since >= line->mcu->avr->frequency / 1000u)
        hand_over(line);
}

bool line_busy(const line_t *line)
{
    return line->rx_active || line->usart.sending || line->tx_count;
}

void line_discard(line_t *line)
{
    do
        line->bytes_in_reset += line->rx_count - line->rx_next;
    while (line->rx_next = 0, (line->rx_count = pty_read(line->pty, line->rx, sizeof line->rx)) > 0);
    line->tx_count = 0;
    line->expecting = false;
    if (line->rx_active)
        avr_cycle_timer_cancel(line->mcu->avr, character_arrived, line);
    line->rx_active = false;
}

bool line_attach(line_t *line, mcu_t *mcu, pty_t *pty)
{
    memset(line, 0, sizeof *line);
    line->mcu = mcu;
    line->pty = pty;
    line->patience_ns = PATIENCE_MAX_NS;
    return usart_attach(&line->usart, mcu->avr, line, on_sent, on_reset);
}
