"""Writes an export down as C headers. Byte-identical for the same model: no clock, no path, no dictionary order."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import jinja2
import numpy as np

from host.assets import asset_root
from host.atomic import write_texts
from host.compile.export import Export
from host.compile.kernels.unrolled.avr_ops import Op
from host.errors import InputError

ABI = 1
"""Must equal nn.h's NN_ABI; the rendered header refuses to compile otherwise."""
RENDERED = ("model.h", "model_net.h", "model_code.S")
_TAG = "@TAG@"
"""Stands for the CRC-32 of all texts of an export, by which the compiler tells files of two exports apart; c_comment
lets no name from a model file hold it."""
_NUMBERS_PER_LINE = 12


def render(export: Export) -> dict[str, str]:
    """File name → text of each rendered header."""
    environment = _environment(asset_root() / "templates")
    context = {"export": export, "graph": export.graph, "abi": ABI, "tag": _TAG}
    texts = {name: environment.get_template(f"{name}.j2").render(context) for name in RENDERED}
    tag = f"0x{zlib.crc32(''.join(texts.values()).encode()):08x}"
    return {name: text.replace(_TAG, tag) for name, text in texts.items()}


@cache
def _environment(templates: Path) -> jinja2.Environment:
    """Kept, since compiling the templates takes most of a rendering's time."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["c_numbers"] = c_numbers
    environment.filters["asm_ops"] = asm_ops
    environment.filters["asm_lines"] = lambda numbers: numbers.replace(",\n", "\n").split("\n")
    environment.filters["c_float"] = c_float
    environment.filters["c_comment"] = c_comment
    environment.filters["c_hex_byte"] = "0x{:02x}".format
    return environment


def write_headers(export: Export, directory: str | Path) -> list[Path]:
    """Render `export` into `directory` (made if missing); all files appear, or none."""
    directory = Path(directory)
    texts = render(export)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{directory}: cannot be made: {error.strerror}; choose another place with -o") from error
    return write_texts(directory, texts)


def c_numbers(numbers: Iterable[int]) -> str:
    """Whole numbers in C, a few on each line."""
    literals = list(map(str, numbers))
    lines = (literals[start : start + _NUMBERS_PER_LINE] for start in range(0, len(literals), _NUMBERS_PER_LINE))
    return ",\n        ".join(", ".join(line) for line in lines)


def asm_ops(ops: Iterable[Op]) -> str:
    """Instructions, a line each, behind labels that stand at its beginning."""
    return "\n".join(op.text if op.text.endswith(":") else f"    {op.text}" for op in ops)


def c_float(value: float) -> str:
    """The shortest decimal that rounds back to the float32.

    >>> c_float(0.1)
    '0.1f'
    """
    return f"{np.float32(value)!s}f"


def c_comment(texts: Iterable[str] | str) -> str:
    """Text from a model file made safe inside a C comment: printable ASCII, no way to end the comment, no _TAG."""
    text = texts if isinstance(texts, str) else " ".join(texts)
    return "".join(char if " " <= char <= "~" and char not in "*/\\?@" else "_" for char in text)[:200]
