"""Renders the headers in firmware/model from firmware/model/default.h5, so that a fresh clone builds and flashes.

`python tools/render_default_model.py` writes them; with `--check` it writes nothing, and exits with 1 if one differs
from what the model renders. The model itself is `host train --data digits --seed 0 -o firmware/model/default.h5`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from host.compile.boards import BOARDS  # noqa: E402
from host.compile.export import Export  # noqa: E402
from host.compile.exports import export_for  # noqa: E402
from host.compile.render import render, write_headers  # noqa: E402
from host.modelfile import file as model_file  # noqa: E402  (the repository need not be installed for this)
from host.nn.formats import WeightFormat  # noqa: E402

FOLDER = ROOT / "firmware/model"
MODEL = FOLDER / "default.h5"
KERNEL = "asm"
"""Weights as data: little flash, so that every board in platformio.ini has room for it."""


def default_export() -> Export:
    return export_for(model_file.load(MODEL), WeightFormat.INT8, BOARDS["uno"], KERNEL)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a header is out of date")
    if not parser.parse_args(arguments).check:
        write_headers(default_export(), FOLDER)
        return 0
    for name, text in render(default_export()).items():
        path = FOLDER / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            place = path.relative_to(ROOT)
            print(f"{place}: differs from what default.h5 renders; run `python tools/render_default_model.py`")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
