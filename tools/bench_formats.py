"""What each weight format and kernel costs on the simulated Uno: accuracy, flash, RAM, cycles, all measured.

    tools/bench_formats.py [--model MODEL.h5] [--data usps] [--limit N] [--markdown]

Trains preset `preconv`, seed 0, and on for int4 and ternary, where no model is given. Every row is a `host verify` run
and must pass.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HEAD = ("format", "activations", "kernel", "accuracy", "flash", "RAM", "stack left", "cycles", "ms a digit", "digits/s")
VARIANTS = (
    *((fmt, None, kernel) for fmt in ("float32", "float16") for kernel in ("portable", "asm")),
    ("int8", 8, "portable"),
    ("int8", 8, "asm"),
    ("int8", 6, "portable"),
    ("int8", 6, "asm"),
    ("int8", 6, "unrolled"),
    *((fmt, 8, kernel) for fmt in ("int4", "ternary") for kernel in ("portable", "asm", "unrolled")),
)


def host(*arguments: str) -> None:
    """Run one command of this project; stop where it fails."""
    result = subprocess.run([sys.executable, "-m", "host", *arguments], capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"host {' '.join(arguments)}: {result.stderr.strip() or result.stdout.strip()}")


def measure(model: Path, data: str, variant: tuple[str, int | None, str], limit: list[str], place: Path) -> list[str]:
    """One row of the table."""
    fmt, bits, kernel = variant
    target = place / "result.json"
    wanted = ["--format", fmt, "--kernel", kernel, *(["--activation-bits", str(bits)] if bits else [])]
    host("verify", str(model), "--data", data, "--board", "uno", *wanted, *limit, "--json", str(target))
    result: dict[str, Any] = json.loads(target.read_text())
    cycles, memory = result["cycles"]["mean"], result["memory"]
    return [
        fmt,
        f"{bits} bit" if bits else "float",
        kernel,
        f"{100 * result['accuracy']['device']:.2f} %",
        f"{memory['flash']:,}",
        f"{memory['ram_static']:,}",
        f"{memory['ram_free_min']:,}",
        f"{cycles:,.0f}",
        f"{1000 * cycles / result['board']['f_cpu']:.2f}",
        f"{result['link']['images_per_s']:.1f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--data", default="usps")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--markdown", action="store_true")
    arguments = parser.parse_args()
    limit = ["--limit", str(arguments.limit)] if arguments.limit else []
    with tempfile.TemporaryDirectory() as folder:
        model = arguments.model or Path(folder) / "model.h5"
        if arguments.model is None:
            host("train", "--data", arguments.data, "--qat", "int4", "--qat", "ternary", "-o", str(model))
        rows = [measure(model, arguments.data, variant, limit, Path(folder)) for variant in VARIANTS]
    if arguments.markdown:
        for row in (HEAD, ["---"] * 3 + ["---:"] * (len(HEAD) - 3), *rows):
            print(f"| {' | '.join(row)} |")
        return
    widths = [max(len(row[column]) for row in (HEAD, *rows)) for column in range(len(HEAD))]
    for row in (HEAD, *rows):
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))


if __name__ == "__main__":
    main()
