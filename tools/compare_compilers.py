"""What two compilers make of the same programs: two files that tools/measure_costs.py --keep has written.

DIGITDUINO_AVR_GCC=7.3.0 python tools/measure_costs.py --keep new
python tools/measure_costs.py --keep old
python tools/compare_compilers.py old new            of each kind of program the least, mean and greatest difference
python tools/compare_compilers.py old new --all      a line for each program
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean

Programs = dict[tuple[str, str, str], dict[str, float]]
FIGURES = ("flash", "ram", "cycles")


def read(path: Path) -> Programs:
    """(net, board, kernels) → figures."""
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {(each["net"], each["board"], each["kernels"]): {name: each[name] for name in FIGURES} for each in records}


def kind(kernels: str) -> str:
    """Portable C throughout, assembly and code throughout, or both."""
    names = kernels.split(", (")[0].split(" + ")
    fast = sum(name.startswith("nn_avr") or name == "code" for name in names)
    return "portable" if not fast else "assembly" if fast == len(names) else "mixed"


def lines(old: Programs, new: Programs) -> list[str]:
    """One for each program that both have."""
    found = []
    for key in sorted(old.keys() & new.keys()):
        net, board, kernels = key
        figures = "  ".join(
            f"{name} {old[key][name]:,.0f} → {new[key][name]:,.0f} ({_percent(old[key][name], new[key][name])})"
            for name in FIGURES
        )
        found.append(f"{net}, {board}, {kernels.split(', (')[0]}: {figures}")
    return found


def summary(old: Programs, new: Programs) -> list[str]:
    """Of each kind of program on each board."""
    kinds: dict[tuple[str, str], list[tuple[str, str, str]]] = defaultdict(list)
    for key in sorted(old.keys() & new.keys()):
        kinds[key[1], kind(key[2])].append(key)
    found = [f"{'':24}{'programs':>9}" + "".join(f"{name + ', % least':>16}{'mean':>8}{'most':>8}" for name in FIGURES)]
    for (board, each), keys in sorted(kinds.items()):
        row = f"{board + ', ' + each:24}{len(keys):>9}"
        for name in FIGURES:
            shares = [100 * (new[key][name] / old[key][name] - 1) for key in keys]
            row += f"{min(shares):>16.1f}{mean(shares):>8.1f}{max(shares):>8.1f}"
        found.append(row)
    return found


def _percent(old: float, new: float) -> str:
    return f"{100 * (new / old - 1):+.1f} %"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--all", action="store_true", help="a line for each program")
    chosen = parser.parse_args()
    old, new = read(chosen.old), read(chosen.new)
    for name, only in (("first", old.keys() - new.keys()), ("second", new.keys() - old.keys())):
        for net, board, kernels in sorted(only):
            print(f"only in the {name}: {net}, {board}, {kernels}", file=sys.stderr)
    print("\n".join(lines(old, new) if chosen.all else summary(old, new)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
