/* void nn_avr_normalize(uint16_t *pooled, uint16_t count, uint16_t smallest, uint16_t largest, uint8_t levels,
 *                       uint8_t *features);
 *
 * features[i] = floor(d * levels / range), d = pooled[i] - smallest, range = largest - smallest <= 4080; zeros where
 * range is 0. count: a multiple of 4, at most 1020. levels: 63 or 255. pooled may be overwritten.
 *
 * No division per pixel. d and range are first shifted left together until range >= 2048 (the quotient stays; most
 * images need no shift, so there is no second loop for them). With M = ceil(2^16 * levels / range), the 16.16 number
 * d * M exceeds the true quotient by less than range / 2^16 < 1/16. So its integer part is the floor, or one more, and
 * one more only where its fraction is below 1/16: then the remainder's sign decides. tests prove it for every pair.
 *
 * Registers      r24 d        r22 M         r20 smallest      r18 range     r16 levels
 *                r14 result   r17 fraction  r15 turns left    X pooled      Z features
 * Stack          4 bytes
 * Cycles         about 290, per pixel 11 where d = 0, else 26, and 17 to 21 more where the fraction is below 1/16;
 *                low contrast: about 20 + 5 n more per pixel, n = shifts */
#ifdef __AVR__ /* PlatformIO hands every board all of lib/nn. */
#include "nn_avr_macros.h"

#define RESULT 14
#define TURNS 15
#define LEVELS 16
#define FRACTION 17
#define RANGE 18
#define SMALLEST 20
#define M 22
#define D 24

; One pixel. Its two rare ways stand behind the loop, so that the common way takes no branch.
.macro SCALE pixel
    ld D, X+
    ld D + 1, X+
    sub D, SMALLEST
    sbc D + 1, SMALLEST + 1
    breq .Lzero\pixel
    mul D, M
    mov FRACTION, r1
    mul D + 1, M + 1
    mov RESULT, r0
    mul D, M + 1
    add FRACTION, r0
    adc RESULT, r1
    mul D + 1, M
    add FRACTION, r0
    adc RESULT, r1
    cpi FRACTION, 16
    brlo .Lcheck\pixel
    st Z+, RESULT
.Ldone\pixel:
.endm

; In check, d * levels - result * range lies in -4095..4095, so 16 bits hold its sign.
.macro SCALE_RARE pixel
.Lzero\pixel:
    st Z+, D
    rjmp .Ldone\pixel
.Lcheck\pixel:
    mul D + 1, LEVELS
    mov FRACTION, r0
    mul D, LEVELS
    movw D, r0
    add D + 1, FRACTION
    mul RESULT, RANGE
    sub D, r0
    sbc D + 1, r1
    mul RESULT, RANGE + 1
    sub D + 1, r0
    brpl 1f
    dec RESULT
1:  st Z+, RESULT
    rjmp .Ldone\pixel
.endm

FUNCTION nn_avr_normalize
    PUSH_RANGE 14, 17
    movw r26, r24
    movw r30, r14
    lsr r23
    ror r22
    lsr r23
    ror r22
    mov TURNS, r22
    sub RANGE, SMALLEST
    sbc RANGE + 1, SMALLEST + 1
    brne 1f
    rjmp .Lblank
1:  cpi RANGE + 1, 8
    brsh .Ldivide
    rjmp .Lstretch
.Ldivide:
    ; M - 1 = (2^16 * levels - 1) / range: the dividend is levels - 1, then 16 one bits. range >= 2048 keeps the first
    ; three quotient bits 0. The loop shifts in each bit inverted, hence M starts at 7 and is complemented.
    mov D, LEVELS
    dec D
    clr D + 1
    ldi FRACTION, 3
1:  sec
    rol D
    rol D + 1
    dec FRACTION
    brne 1b
    ldi M, 7
    clr M + 1
    ldi FRACTION, 13
1:  sec
    rol D
    rol D + 1
    cp D, RANGE
    cpc D + 1, RANGE + 1
    brlo 2f
    sub D, RANGE
    sbc D + 1, RANGE + 1
2:  rol M
    rol M + 1
    dec FRACTION
    brne 1b
    com M
    com M + 1
    subi M, 0xff
    sbci M + 1, 0xff
    rjmp .Lturn
    SCALE_RARE 1
    SCALE_RARE 2
.Lturn:
    SCALE 1
    SCALE 2
    SCALE 3
    SCALE 4
    dec TURNS
    breq 1f
    rjmp .Lturn
1:  rjmp .Lreturn
    SCALE_RARE 3
    SCALE_RARE 4

.Lblank:
    st Z+, RANGE
    st Z+, RANGE
    st Z+, RANGE
    st Z+, RANGE
    dec TURNS
    brne .Lblank
.Lreturn:
    clr r1
    POP_RANGE 14, 17
    ret

    ; Low contrast, range < 2048: pooled[i] = (pooled[i] - smallest) << n, so that smallest is 0 from here on.
.Lstretch:
    clr FRACTION
1:  inc FRACTION
    lsl RANGE
    rol RANGE + 1
    cpi RANGE + 1, 8
    brlo 1b
    mov RESULT, TURNS
2:  ldi M, 4
3:  ld D, X+
    ld D + 1, X
    sub D, SMALLEST
    sbc D + 1, SMALLEST + 1
    mov M + 1, FRACTION
4:  lsl D
    rol D + 1
    dec M + 1
    brne 4b
    st X, D + 1
    st -X, D
    adiw r26, 2
    dec M
    brne 3b
    dec RESULT
    brne 2b
    clr SMALLEST
    clr SMALLEST + 1
    ; X back to the first pixel: 8 bytes a turn
    mov D, TURNS
    clr D + 1
    ldi M, 3
5:  lsl D
    rol D + 1
    dec M
    brne 5b
    sub r26, D
    sbc r27, D + 1
    rjmp .Ldivide
END_FUNCTION nn_avr_normalize

#endif
