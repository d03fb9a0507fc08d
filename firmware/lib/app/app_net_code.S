/* What of a model is not C: the numbers of a net, or the code of one exported with `--kernel unrolled`. */
#include "model.h"
#include "model_code.S"

#if MODEL_CODE_EXPORT != MODEL_EXPORT
#error "model_code.S and model.h are of two exports: run `host export` again"
#endif
