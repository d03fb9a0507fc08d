"""Kills and resumes `host verify` on the native board; stops at the first digit lost or report that differs.

python tools/soak_kills.py --kills 1000 --seed 1
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # runs are forked, which threads would not survive
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/board")]

from kill_bench import KillBench  # noqa: E402

REPORT_S = 30


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill and resume a verification again and again.")
    parser.add_argument("--kills", type=int, default=1000, help="stop after so many (default 1,000)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and signals")
    parser.add_argument("--minutes", type=float, default=60, help="stop after so long at the latest (default 60)")
    arguments = parser.parse_args()
    start = spoken = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        bench = KillBench(Path(folder), arguments.seed)
        done = 0
        while done < arguments.kills and time.monotonic() - start < 60 * arguments.minutes:
            done = min(done + 10, arguments.kills)
            bench.rounds(done)
            if time.monotonic() - spoken > REPORT_S:
                spoken = time.monotonic()
                print(_words(bench, spoken - start), flush=True)
    print(_words(bench, time.monotonic() - start))
    return 0


def _words(bench: KillBench, seconds: float) -> str:
    counts = bench.counts
    signals = ", ".join(f"{counts[name]} {name}" for name in ("SIGKILL", "SIGINT", "SIGTERM"))
    return (
        f"{counts['kills']:,} kills ({signals}), {counts['with progress']:,} in mid-run, {counts['complete']:,} runs "
        f"completed with the undisturbed report, 0 digits lost; {seconds:.0f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
