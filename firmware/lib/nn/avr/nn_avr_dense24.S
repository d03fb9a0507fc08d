/* void nn_avr_dense24_B(const uint8_t *in, uint16_t inputs, const uint8_t *block, int32_t *sums);   B = 1..7
 *
 * sums[o] = bias[o] + sum over i of weight[i][o] * in[i], sign-extended from 24 bits. Exact where the final sum fits 24
 * bits: |sum| < 2^23 holds for every int8 layer of up to 257 inputs. in: 0..255. inputs: 1..255.
 * block, in flash: int24 bias[B] (three bytes each, low first), then uint8 weights[inputs][B], each weight + 128.
 *
 * The offset of 128 makes every product unsigned, so that the third byte takes only a carry: 8 cycles a weight (LPM 3,
 * MUL 2, ADD, ADC, ADC) where a signed product needs 9. What the offset adds, 128 * (sum of inputs), is the same for
 * all B sums and is taken off at the end.
 *
 * Registers      r2..r22 sums (in threes)    r23 input    r24 inputs left    r25 = 0    r0, r1 weight, product
 *                r28 sum of the inputs       X inputs     Z block            stack: &sums
 * Stack          20 bytes
 * Cycles         109 + 23 B, each input > 0: 10 + 8 B, each input = 0: 9 (call from C included) */
#ifdef __AVR__ /* PlatformIO hands every board all of lib/nn. */
#define LOAD lpm
#include "nn_avr_sums24.h"

#define INPUT 23
#define LEFT 24
#define ZERO 25
#define INPUT_SUM 28

.macro MULTIPLY_ADD sum
    LOAD r0, Z+
    mul r0, INPUT
    add \sum, r0
    adc \sum + 1, r1
    adc \sum + 2, ZERO
.endm

; Takes 128 * (sum of inputs), in r23 r30 r31, off and stores four bytes.
.macro STORE_LONG sum
    sub \sum, r23
    sbc \sum + 1, r30
    sbc \sum + 2, r31
    STORE_SUM \sum
    clr r0
    sbrc \sum + 2, 7
    com r0
    st X+, r0
.endm

.macro DENSE24 outputs
FUNCTION nn_avr_dense24_\outputs
    SAVE_FROM 2
    push r18
    push r19
    movw r26, r24
    movw r30, r20
    mov LEFT, r22
    clr ZERO
    clr INPUT_SUM
    clr INPUT_SUM + 1
    EACH_SUM LOAD_BIAS, \outputs
1:  ld INPUT, X+
    tst INPUT
    brne 2f
    adiw r30, \outputs
    dec LEFT
    brne 1b
    rjmp 3f
2:  add INPUT_SUM, INPUT
    adc INPUT_SUM + 1, ZERO
    EACH_SUM MULTIPLY_ADD, \outputs
    dec LEFT
    brne 1b
3:  ; sum of inputs * 128 = (sum << 8) >> 1
    clr r23
    movw r30, INPUT_SUM
    lsr r31
    ror r30
    ror r23
    pop r27
    pop r26
    EACH_SUM STORE_LONG, \outputs
    clr r1
    RETURN_FROM 2
END_FUNCTION nn_avr_dense24_\outputs
.endm

DENSE24 1
DENSE24 2
DENSE24 3
DENSE24 4
DENSE24 5
DENSE24 6
DENSE24 7

#endif
