/* void nn_avr_window_max(const uint8_t *in, const nn_avr_window *window, uint8_t *out);
 * void nn_avr_window_mean(const uint8_t *in, const nn_avr_window *window, uint8_t *out);
 *
 * All channels of one window of size * size pixels, which are `channels` bytes apart in its rows: out[c] is the largest
 * in[c], or their mean, halves up. size: 1..16. channels: 1..255.
 *
 * The mean is (sum + size^2 / 2) / size^2. It is below 256, so that eight steps of a division will do; at 256 pixels it
 * is the sum's upper byte.
 *
 * Registers      r13 half    r14 r15 sum    r16 largest, or the number of pixels    r17 channels    r18 channels left
 *                r19 size    r20 rows left    r21 left of the row    r22 r23 row_gap    r24 r25 channel's first
 *                r0 input    r1 = 0    X inputs    Z out
 * Stack          2 bytes, the mean 5
 * Cycles         max 32, each channel 9, of its rows 5, of its inputs 10; mean 51, each channel 61 and as many as its
 *                mean has ones, of its rows 5, of its inputs 9; from size 12 on a 1 may cost nothing, and at 16 a channel
 *                costs 44 less (call from C included) */
#ifdef __AVR__ /* PlatformIO hands every board all of lib/nn. */
#include "nn_avr_macros.h"

#define HALF 13
#define SUM 14
#define LARGEST 16
#define PIXELS 16
#define STRIDE 17
#define CHANNELS 18
#define SIZE 19
#define ROWS 20
#define LEFT 21
#define ROW_GAP 22
#define FIRST 24
#define INPUT 0
#define ZERO 1

.macro LOAD_WINDOW
    movw r26, r22
    movw r30, r20
    ld STRIDE, X+
    mov CHANNELS, STRIDE
    ld SIZE, X+
    ld ROW_GAP, X+
    ld ROW_GAP + 1, X
.endm

.macro LOAD_INPUT
    ld INPUT, X
    add r26, STRIDE
    adc r27, ZERO
.endm

.macro NEXT_ROW
    add r26, ROW_GAP
    adc r27, ROW_GAP + 1
.endm

; SUM, SUM + 1 / PIXELS, whose quotient is SUM in the end
.macro DIVIDE bits
    lsl SUM
    rol SUM + 1
    brcs 1f
    cp SUM + 1, PIXELS
    brlo 2f
1:  sub SUM + 1, PIXELS
    inc SUM
2:
  .if \bits > 1
    DIVIDE (\bits-1)
  .endif
.endm

FUNCTION nn_avr_window_max
    push LARGEST
    push STRIDE
    LOAD_WINDOW
1:  movw r26, FIRST
    adiw FIRST, 1
    clr LARGEST
    mov ROWS, SIZE
2:  mov LEFT, SIZE
3:  LOAD_INPUT
    cp LARGEST, INPUT
    brsh 4f
    mov LARGEST, INPUT
4:  dec LEFT
    brne 3b
    NEXT_ROW
    dec ROWS
    brne 2b
    st Z+, LARGEST
    dec CHANNELS
    brne 1b
    pop STRIDE
    pop LARGEST
    ret
END_FUNCTION nn_avr_window_max

FUNCTION nn_avr_window_mean
    PUSH_RANGE 13, 17
    LOAD_WINDOW
    mul SIZE, SIZE
    mov PIXELS, r0 ; 0: 256
    lsr r1
    ror r0
    mov HALF, r0
    clr ZERO
3:  movw r26, FIRST
    adiw FIRST, 1
    mov SUM, HALF
    clr SUM + 1
    mov ROWS, SIZE
4:  mov LEFT, SIZE
5:  LOAD_INPUT
    add SUM, INPUT
    adc SUM + 1, ZERO
    dec LEFT
    brne 5b
    NEXT_ROW
    dec ROWS
    brne 4b
    tst PIXELS
    breq 7f
    DIVIDE 8
6:  st Z+, SUM
    dec CHANNELS
    breq 8f
    rjmp 3b
7:  mov SUM, SUM + 1
    rjmp 6b
8:  POP_RANGE 13, 17
    ret
END_FUNCTION nn_avr_window_mean

#endif
