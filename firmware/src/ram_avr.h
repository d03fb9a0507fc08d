/* How a classic AVR's RAM is shared out, decided when compiling from the model's sizes and the chip's. Where a whole
 * IMAGE frame fits into the receive ring beside all the rest, the host may have two images outstanding: one is
 * inferred while the next comes in, and no inference can be too long for the ring. */
#ifndef RAM_AVR_H
#define RAM_AVR_H

#include <avr/io.h>

#include "app.h"

#define RAM_BYTES (RAMEND - RAMSTART + 1)

/* Static data besides image, arena and receive ring; a test holds it to this. */
#define RAM_OTHERS (220 + 8 * (MODEL_CLASSES + MODEL_MARKS))
/* For the stack; tests/analysis/test_stack.py bounds what it takes. */
#define RAM_STACK 320
/* Other requests beside the image, and the one byte that keeps a full ring from looking empty. */
#define RAM_RX_SPARE 24
/* With one image outstanding nothing comes during inference, and this bridges the rest even at 1 Mbaud. No ring is
 * shorter: what adds fewer than 64 is an ADIW, and libsimavr 1.6 takes some of those behind a skip for a JMP. */
#define RAM_RX_SHORT 64

#define RAM_FOR_RX (RAM_BYTES - APP_SLOT_BYTES - MODEL_ARENA_BYTES - RAM_OTHERS - RAM_STACK)

#if APP_FRAME_BYTES + RAM_RX_SPARE > RAM_RX_SHORT
#define RAM_RX_LONG (APP_FRAME_BYTES + RAM_RX_SPARE)
#else
#define RAM_RX_LONG RAM_RX_SHORT
#endif
#if RAM_FOR_RX >= RAM_RX_LONG
#define RAM_RX_BYTES RAM_RX_LONG
#define RAM_SLOTS    2
#else
#define RAM_RX_BYTES RAM_RX_SHORT
#define RAM_SLOTS    1
#endif

#endif
