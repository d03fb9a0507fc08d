/* The rendered code of a model exported with `--kernel unrolled`; nothing otherwise. */
#include "model_code.S"
