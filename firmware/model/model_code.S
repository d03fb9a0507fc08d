/* Rendered by `host export` from model 26674f90de621ce123a63ccbd05864b8074eb3a664dbf3fb5c3b9a502ccfe9cb. Do not edit: export again.
 * Kernel asm: no weights are compiled into code. */

#define MODEL_CODE_EXPORT 0x7657e1d2
