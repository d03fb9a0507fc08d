"""Injects faults into sessions with the C core; stops at the first digit that is wrong, lost or recorded twice.

python tools/soak.py --faults 10000000 --seed 1
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/firmware")]

from line_bench import compile_board, inject  # noqa: E402

from host.errors import LinkError  # noqa: E402
from host.link.faults import Faults  # noqa: E402

IMAGES = 1000
RATES = (115_200, 250_000, 500_000, 1_000_000)
REPORT_S = 30
NOISE = {
    "drop": 0.002,
    "flip": 0.002,
    "dup": 0.0015,
    "insert": 0.0015,
    "truncate": 0.01,
    "stall": 0.002,
    "stall_s": 1.0,
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Stream digits against injected faults.")
    parser.add_argument("--faults", type=int, default=10_000_000, help="stop after so many (default 10,000,000)")
    parser.add_argument("--seed", type=int, default=0, help="of the first session; each next one takes the next")
    parser.add_argument("--minutes", type=float, default=60, help="stop after so long at the latest (default 60)")
    arguments = parser.parse_args()
    start = spoken = time.monotonic()
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        board = compile_board(Path(folder))
        seed = arguments.seed
        while counts["faults"] < arguments.faults and time.monotonic() - start < 60 * arguments.minutes:
            faults = Faults(**NOISE, reset=20, seed=seed)  # type: ignore[arg-type]
            try:
                bench, injected = inject(board, faults, IMAGES, slots=1 + seed % 4, baud=RATES[seed % 4])
            except LinkError as error:
                print(f"session {seed} gave up: {error}")
                counts["gave up"] += 1
            else:
                counts.update(sessions=1, faults=injected.total, digits=IMAGES, retries=bench.session.counters.retries)
            seed += 1
            if time.monotonic() - spoken > REPORT_S:
                spoken = time.monotonic()
                print(_words(counts, spoken - start), flush=True)
    print(_words(counts, time.monotonic() - start))
    return 0


def _words(counts: Counter[str], seconds: float) -> str:
    return (
        f"{counts['faults']:,} faults in {counts['sessions']:,} sessions of {IMAGES:,} digits, "
        f"{counts['retries']:,} retries, {counts['gave up']} sessions gave up; "
        f"0 digits wrong, lost or twice; {seconds:.0f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
