/* The simulated board: an AVR running real firmware behind a pseudo-terminal. This file owns signals and the order
 * of events; see sim_mcu.h, sim_usart.h, sim_line.h, sim_pty.h and sim_clock.h for the parts.
 * Exit codes: 0 ended on request, 2 wrong usage or image, 3 the program on the board crashed. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sim_clock.h"
#include "sim_image.h"
#include "sim_line.h"
#include "sim_mcu.h"
#include "sim_options.h"
#include "sim_report.h"

#define START_UP_NS    65000000u
#define AHEAD_LIMIT_NS 1000000u /* --realtime: how far simulated time may run ahead */

typedef struct {
    options options;
    mcu_t mcu;
    pty_t pty;
    line_t line;
    board_clock clock;
} board_t;

static volatile sig_atomic_t stop_asked, report_asked;

static void on_signal(int number)
{
    if (number == SIGUSR1)
        report_asked = 1;
    else
        stop_asked = 1;
}

static void write_report(board_t *board)
{
    report_asked = 0;
    if (board->options.report)
        report_write(board->options.report, board->options.mcu, &board->mcu, &board->line, &board->clock);
}

/* DTR pulls the reset pin, and an Uno's oscillator takes its time to start (fuses: 65 ms), in which it hears nothing
 * and the host configures its port. Simulated time stands still. */
static void reset_by_dtr(board_t *board)
{
    mcu_reset_pin(&board->mcu);
    clock_update(&board->clock);
    uint64_t end_ns = board->clock.wall_ns + START_UP_NS;
    while (board->clock.wall_ns < end_ns && !stop_asked && !board->pty.ended) {
        const unsigned happened = pty_poll(&board->pty, true, end_ns - board->clock.wall_ns);
        clock_update(&board->clock);
        if (happened & PTY_OPENED)
            end_ns = board->clock.wall_ns + START_UP_NS;
        line_discard(&board->line);
    }
}

static void handle(board_t *board, unsigned happened)
{
    if (happened & PTY_CLOSED)
        line_receive(&board->line);
    if (happened & PTY_OPENED)
        reset_by_dtr(board);
    if (happened & PTY_READABLE)
        line_receive(&board->line);
    line_flush_due(&board->line);
}

/* Asleep with a silent line: wait in wall time until the next timer is due or something happens, whichever is first. */
static void wait_asleep(board_t *board, avr_cycle_count_t cycles)
{
    clock_update(&board->clock);
    const unsigned happened = pty_poll(&board->pty, !board->line.rx_active, clock_wait_ns(&board->clock, cycles));
    clock_update(&board->clock);
    mcu_pass(&board->mcu, clock_allowance(&board->clock, cycles));
    handle(board, happened);
}

static void look_around(board_t *board)
{
    uint64_t wait_ns;

    do {
        clock_update(&board->clock);
        wait_ns = clock_wait_ns(&board->clock, 0); /* only --realtime is ever ahead */
        if (wait_ns < AHEAD_LIMIT_NS)
            wait_ns = 0;
        handle(board, pty_poll(&board->pty, !board->line.rx_active, wait_ns));
    } while (wait_ns && !stop_asked && !board->pty.ended);
}

static int run(board_t *board)
{
    avr_t *avr = board->mcu.avr;
    avr_cycle_count_t next_look = 0;

    while (!stop_asked && !board->pty.ended) {
        const mcu_state state = mcu_step(&board->mcu);
        if (state == MCU_CRASHED) {
            fprintf(stderr, "simboard: the program crashed at pc 0x%05lx, cycle %llu: %s\n", (unsigned long)avr->pc,
                    (unsigned long long)avr->cycle, board->mcu.reason);
            return 3;
        }
        if (report_asked)
            write_report(board);
        if (state == MCU_ASLEEP || state == MCU_HALTED) {
            if (line_busy(&board->line) && !board->options.realtime)
                mcu_pass(&board->mcu, board->mcu.idle);
            else
                wait_asleep(board, board->mcu.idle);
        }
        if (avr->cycle >= next_look) {
            look_around(board);
            next_look = avr->cycle + board->mcu.batch;
        }
    }
    return 0;
}

static bool load_images(board_t *board)
{
    avr_t *avr = board->mcu.avr;
    image_extent extent;
    char error[256];

    for (unsigned i = 0; i < board->options.image_count; i++) {
        const image_option *image = &board->options.images[i];
        if (!image_load(avr, image->path, &extent, error, sizeof error)) {
            fprintf(stderr, "simboard: %s: %s\n", image->path, error);
            return false;
        }
        if (image->start_here)
            avr->pc = avr->reset_pc = extent.start;
    }
    return true;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: a signal ends a wait */

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv)
{
    static board_t board;

    if (!options_parse(argc, argv, &board.options))
        return 2;
    if (!mcu_create(&board.mcu, board.options.mcu, board.options.f_cpu)) {
        fprintf(stderr, "simboard: --mcu: found %s, need one that libsimavr knows, such as atmega328p\n",
                board.options.mcu);
        return 2;
    }
    if (!load_images(&board))
        return 2;
    if (!pty_create(&board.pty, board.options.stdin_eof ? STDIN_FILENO : -1)) {
        fprintf(stderr, "simboard: pseudo-terminal: %s; free one or mount /dev/pts\n", strerror(errno));
        return 2;
    }
    if (!line_attach(&board.line, &board.mcu, &board.pty)) {
        fprintf(stderr, "simboard: --mcu: found %s, need one with USART0 at 0xC0, such as atmega328p\n",
                board.options.mcu);
        return 2;
    }
    board.line.any_baud = board.options.any_baud;
    board.line.hold_time = !board.options.realtime;
    catch_signals();
    printf("port %s\n", board.pty.path);
    fflush(stdout);
    clock_start(&board.clock, board.mcu.avr, board.options.realtime);
    const int status = run(&board);
    write_report(&board);
    pty_destroy(&board.pty);
    mcu_destroy(&board.mcu);
    return status;
}
