/* The wire between a pseudo-terminal and a USART, in simulated time: host bytes arrive at the host's baud rate, board
 * bytes reach the host when their stop bit has passed, and either is garbled when the two rates differ too much.
 * Bytes for the host are handed over when the line falls idle or a millisecond has passed, which no host can tell. */
#ifndef SIM_LINE_H
#define SIM_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "sim_mcu.h"
#include "sim_pty.h"
#include "sim_usart.h"
#include "sim_wave.h"

typedef struct {
    mcu_t *mcu;
    pty_t *pty;
    usart_t usart;
    bool any_baud;  /* do not compare the two ends' rates */
    bool hold_time; /* let simulated time stand still while the host thinks about what it was sent */

    uint8_t rx[4096]; /* read from the host, not yet on the wire */
    size_t rx_count, rx_next;
    uint32_t rx_baud; /* the host's rate for these; 0: as the board's */
    bool rx_active;
    uint64_t rx_remainder;
    wave_t rx_wave;

    uint8_t tx[1024]; /* past their stop bit, not yet handed to the host */
    size_t tx_count;
    avr_cycle_count_t tx_since, tx_last;
    wave_t tx_wave;

    bool expecting; /* the host was just sent something and has not answered */
    uint64_t patience_ns;
    uint64_t bytes_in, bytes_out, bytes_unheard, bytes_in_reset, garbled;
} line_t;

bool line_attach(line_t *line, mcu_t *mcu, pty_t *pty);

/* Takes what the host has written, if the wire is free. */
void line_receive(line_t *line);

/* Hands over what is due by now; call it about every simulated millisecond. */
void line_flush_due(line_t *line);

/* Something is on the wire, so that simulated time may run ahead to its end. */
bool line_busy(const line_t *line);

/* The board is in reset and hears nothing: what is on the wire and what the host has written is lost. */
void line_discard(line_t *line);

#endif
