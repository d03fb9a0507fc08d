"""How much a net may be, wherever it comes from: more is refused before any memory is taken for it."""

MAX_FILE_BYTES = 64 << 20
MAX_LAYERS = 80
MAX_ELEMENTS = 1 << 22
"""Of one array, be it weights or what travels between two layers."""
MAX_ALL_ELEMENTS = 1 << 23
"""Of all arrays together, so that a small file cannot ask for much memory by declaring what it never holds."""
MAX_NAME = 64
MAX_OFFSET = 1 << 20
"""Of codes, from which it is subtracted."""
MAX_CLASSES = 255
