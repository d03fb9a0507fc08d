"""The kinds of kernels, as --kernel names them. Standard library alone, so that a command line costs nothing."""

PORTABLE, ASSEMBLY, CODE = "portable", "asm", "unrolled"
"""C for every chip; AVR assembly with the weights as data; weights compiled into AVR code."""
KINDS = (PORTABLE, ASSEMBLY, CODE)
"""The more special the later."""
AUTO = "auto"
CHOICES = (AUTO, *KINDS)
