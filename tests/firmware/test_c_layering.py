"""Includes of the firmware point one way, src -> app -> {nn, wire}, and the core stays portable: read from the text, so
that assembly and branches for other compilers count too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from firmware_build import ROOT

# What the files of each folder may include besides their own; `model` is what `host export` renders.
VISIBLE = {
    "lib/nn": (),
    "lib/wire": (),
    "model": ("lib/nn",),
    "lib/app": ("lib/nn", "lib/wire", "model"),
    "src": ("lib/app", "lib/wire"),
}
FREESTANDING = {"stdint.h", "stddef.h", "string.h", "avr/pgmspace.h"}
FOREIGN_NAMES = {"lib/nn": r"(?:app|wire)_\w+", "lib/wire": r"(?:app|nn)_\w+"}
FORBIDDEN = (
    r"double|(?:m|c|re)alloc|alloca|free|\w*(?:printf|scanf)|f?puts|putchar|getenv|exit|abort|assert|setjmp|longjmp"
)
# A constant with a point or exponent is a double unless it ends in f.
DOUBLE_CONSTANT = r"(?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.])|\d+[eE][+-]?\d+(?![\w.])"
# Strings stay, so that `//` in one starts no comment; a comment leaves its lines.
_COMMENT = re.compile(r"(\"(?:\\.|[^\"\\\n])*\")|/\*.*?\*/|//[^\n]*", re.DOTALL)
_STRING = re.compile(r"\"(?:\\.|[^\"\\\n])*\"")
_INCLUDE = re.compile(r"^[ \t]*#[ \t]*include(?:_next)?[ \t]*(?:\"([^\"]*)\"|<([^>]*)>|(.*))$", re.MULTILINE)


def sources(firmware: Path) -> dict[Path, str]:
    """Every file of the layers, with its layer."""
    endings = {".c", ".h", ".S", ".cpp"}
    return {
        path: layer for layer in VISIBLE for path in sorted((firmware / layer).rglob("*")) if path.suffix in endings
    }


def code(path: Path) -> str:
    def blank(match: re.Match[str]) -> str:
        return match[1] or " " + "\n" * match[0].count("\n")

    return _COMMENT.sub(blank, path.read_text(encoding="utf-8"))


def bad_includes(firmware: Path) -> list[str]:
    """Includes of what a layer may not see, of what is nowhere, and in lib/ of what needs an operating system."""
    layers = sources(firmware)
    homes: dict[str, set[str]] = {}
    for path, layer in layers.items():
        homes.setdefault(path.name, set()).add(layer)
    found = []
    for path, layer in layers.items():
        for quoted, system, computed in _INCLUDE.findall(code(path)):
            if computed:
                reason = f"includes the macro {computed.strip()}, which nobody can follow"
            elif quoted:
                unseen = homes.get(quoted.rpartition("/")[2], {"no layer"}) - {layer, *VISIBLE[layer]}
                reason = f"includes {quoted} of {min(unseen)}" if unseen else ""
            else:
                is_ours = system.rpartition("/")[2] in homes
                is_foreign = layer != "src" and system not in FREESTANDING
                reason = f"includes <{system}>" if is_ours or is_foreign else ""
            found += [f"{path.relative_to(firmware)}: {reason}"] if reason else []
    return found


def bad_words(firmware: Path) -> list[str]:
    """In lib/ and the rendered model: names of a layer that the file may not see, and what no small chip affords."""
    return [
        f"{path.relative_to(firmware)}:{number}: {match[0]}"
        for path, layer in sources(firmware).items()
        if layer != "src"
        for number, match in _matches(path, layer)
    ]


def _matches(path: Path, layer: str) -> Iterator[tuple[int, re.Match[str]]]:
    names = "|".join(filter(None, [FORBIDDEN, FOREIGN_NAMES.get(layer)]))
    # In assembly a point may start a directive or a local label; constants of C are looked for in C.
    constants = "" if path.suffix == ".S" else rf"|(?<![\w.])(?:{DOUBLE_CONSTANT})"
    pattern = re.compile(rf"\b(?:{names})\b{constants}", re.IGNORECASE)
    for number, line in enumerate(code(path).splitlines(), 1):
        if not _INCLUDE.match(line):
            yield from ((number, match) for match in pattern.finditer(_STRING.sub('""', line)))


def test_every_layer_is_looked_at() -> None:
    layers = sources(ROOT / "firmware")
    assert set(layers.values()) == set(VISIBLE)
    under = {path.relative_to(ROOT / "firmware").parts[:2] for path in (ROOT / "firmware/lib").rglob("*.[chS]")}
    assert under == {tuple(layer.split("/")) for layer in VISIBLE if layer.startswith("lib/")}


def test_includes_point_one_way() -> None:
    assert bad_includes(ROOT / "firmware") == []


def test_the_core_is_portable() -> None:
    assert bad_words(ROOT / "firmware") == []


@pytest.mark.parametrize(
    ("place", "text", "check"),
    [
        ("lib/nn/bad.c", '#include "wire_ids.h"', bad_includes),
        ("lib/nn/avr/bad.S", '  # include "../../wire/wire_ids.h"', bad_includes),
        ("lib/nn/bad.h", '#include "model.h"', bad_includes),
        ("lib/nn/bad.c", "#include <app.h>", bad_includes),
        ("lib/wire/bad.c", '#include "nn.h"', bad_includes),
        ("lib/wire/bad.c", '#include "../app/app.h"', bad_includes),
        ("lib/wire/bad.c", '#include "elsewhere.h"', bad_includes),
        ("lib/app/bad.c", '#include "board.h"', bad_includes),
        ("src/bad.c", '#include "nn.h"', bad_includes),
        ("lib/nn/bad.c", "#include <Arduino.h>", bad_includes),
        ("lib/app/bad.c", '#include "Arduino.h"', bad_includes),
        ("lib/wire/bad.c", "#include <stdio.h>", bad_includes),
        ("lib/nn/bad.c", "#include ANYTHING", bad_includes),
        ("lib/nn/bad.c", "extern void wire_send(void);", bad_words),
        ("lib/nn/avr/bad.S", "    rcall app_reset", bad_words),
        ("lib/wire/bad.c", "int x = NN_ABI;", bad_words),
        ("lib/app/bad.c", "char *p = malloc(3);", bad_words),
        ("lib/nn/bad.c", "/* one\n * two */ free(p); // three", bad_words),
        ("lib/app/bad.c", 'puts("/*"); /* " */', bad_words),
        ("lib/wire/bad.c", "int n = snprintf(p, 3, q);", bad_words),
        ("lib/nn/bad.c", "double x;", bad_words),
        ("lib/nn/bad.c", "float x = 0.5f * 0.25;", bad_words),
        ("model/bad.h", "static const float W[] = {1e9};", bad_words),
    ],
)
def test_a_planted_violation_is_found(tmp_path: Path, place: str, text: str, check: object) -> None:
    plant(tmp_path, place, text)
    assert callable(check)
    found = check(tmp_path)
    assert len(found) == 1 and found[0].startswith(place)


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("lib/nn/good.c", '#include <stdint.h>\n#include "nn.h"\nfloat x = 1.5f, y = .5e-3f;\nint doubled;'),
        ("lib/nn/avr/good.S", '#include "../nn.h"\n.L1.2: ret ; the sum is doubled'),
        ("lib/app/good.c", '#include "app.h"\n#include "model.h"\n#include "wire_ids.h"\nvoid nn_x(int is_freed);'),
        ("lib/wire/good.c", '#include <string.h>\n/* no malloc, no double, nn_x, #include "nn.h" */\nint x; // printf'),
        ("model/good.h", '#include "nn.h"\n#error "run printf"'),
        ("src/good.cpp", "#include <Arduino.h>\n#include <stdlib.h>\ndouble x = 0.5;"),
    ],
)
def test_what_is_allowed_is_not_reported(tmp_path: Path, place: str, text: str) -> None:
    plant(tmp_path, place, text)
    assert bad_includes(tmp_path) + bad_words(tmp_path) == []


def plant(firmware: Path, place: str, text: str) -> None:
    """A firmware with one header a layer, and `text` in the file `place`."""
    for header in ("lib/nn/nn.h", "lib/wire/wire_ids.h", "lib/app/app.h", "model/model.h", "src/board.h", place):
        (firmware / header).parent.mkdir(parents=True, exist_ok=True)
        (firmware / header).write_text(text + "\n" if header == place else "#include <stdint.h>\n", encoding="utf-8")
