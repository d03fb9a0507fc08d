"""Fuzzes the C core (libFuzzer) and the readers in Python (Atheris); prints executions and findings, keeps what it has
learned in build/fuzz/corpus. Exit code 1 where something was found.

python tools/fuzz.py --runs 1000000            every target
python tools/fuzz.py --runs 50000000 decode
python tools/fuzz.py --merge                   put the smallest inputs that cover as much into firmware/fuzz/corpus
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/host")]

from networks import network_of  # noqa: E402

from host.compile.boards import BOARDS  # noqa: E402
from host.compile.exports import export_for  # noqa: E402
from host.compile.render import write_headers  # noqa: E402
from host.modelfile import file as model_file  # noqa: E402
from host.nn.formats import WeightFormat  # noqa: E402

FUZZ = ROOT / "firmware/fuzz"
LIB = ROOT / "firmware/lib"
SEEDS = FUZZ / "corpus"
HANGS_S = 1800
"""Whatever one input takes on the slowest machine, it is done long before."""
FLAGS = ["-std=c99", "-O2", "-g", "-ffp-contract=off", *(f"-I{LIB / name}" for name in ("nn", "wire", "app"))]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
WATCHED = ["-fsanitize=fuzzer-no-link", "-fno-sanitize-coverage=trace-cmp,indirect-calls"]
"""The core alone leads the fuzzer, and not by the values that it compares: of those the sanitizers' own checks make so
many that they cost two thirds of the time and drown the core's."""
FIXTURE = ROOT / "tests/firmware/fixture_model"
NETS = {"infer_int8": "int8", "infer_float16": "float16", "infer_float32": "float32", "infer_conv": "conv"}
LONGEST = {"decode": 96, "app": 96}
"""Bytes of input. A frame takes six (tag, type, sequence, two of length, the byte that stands for a payload's rest) and
those of its payload that the input still has. So there is room for fifteen frames without payload, or for eight HELLOs,
and six bytes at the end put a whole image on the line. Short inputs run faster."""
PYTHON = (
    *("csv", "gzip", "npz", "hdf5", "idx", "model", "tflite", "onnx", "keras", "keras_hdf5", "journal", "report"),
    *("checkpoint", "faults", "frames"),
)


@dataclass(frozen=True)
class Target:
    """Something to fuzz: the command, and the longest input."""

    name: str
    command: list[str]
    longest: int


@dataclass(frozen=True)
class Report:
    """What one run of a target came to."""

    executions: int | None
    """None where the fuzzer, stopped by a finding, did not say."""
    seconds: float
    findings: list[Path]
    words: str


def render_net(name: str, folder: Path) -> Path:
    """The headers of a net that the fuzzer feeds images to."""
    if name == "conv":
        export = export_for(network_of("padded"), WeightFormat.INT8, BOARDS["uno"])
    else:
        network = model_file.load(ROOT / "firmware/model/default.h5")
        export = export_for(network, WeightFormat[name.upper()], BOARDS["mega"], "portable")
    write_headers(export, folder)
    return folder


def clang(name: str, folder: Path, *words: str | Path) -> None:
    """Run clang in `folder`, where the objects fall."""
    command = ["clang", *FLAGS, *SANITIZERS, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        raise SystemExit(f"fuzz: {name}: cannot be built: {done.stderr.strip()}\nrun `make setup`")


def build_c(name: str, folder: Path) -> Target:
    """Compile one C target into `folder`."""
    objects = folder / f"{name}-objects"
    shutil.rmtree(objects, ignore_errors=True)
    objects.mkdir(parents=True)
    parts = ["wire"] if name == "decode" else ["wire", "app", "nn"]
    model = render_net(NETS[name], folder / f"model-{name}") if name in NETS else FIXTURE
    harness = [FUZZ / f"fuzz_{name.split('_')[0]}.c", FUZZ / "fuzz_oracle.c"]
    harness += [FUZZ / "fuzz_board.c"] if name == "app" else []
    core = [source for part in parts for source in sorted((LIB / part).glob("*.c"))]
    program = folder / name
    clang(name, objects, f"-I{model}", f"-I{FUZZ}", "-c", *harness)
    clang(name, objects, f"-I{model}", *WATCHED, "-c", *core)
    clang(name, objects, "-fsanitize=fuzzer", *sorted(objects.glob("*.o")), "-o", program)
    return Target(name, [str(program)], LONGEST.get(name, 784))


def target(name: str, folder: Path) -> Target:
    """The target `name`, compiled where it has to be."""
    if name in PYTHON:
        return Target(name, [sys.executable, str(ROOT / "tools/fuzz_readers.py"), name], 1 << 16)
    return build_c(name, folder)


C_TARGETS = ("decode", "app", *NETS)


def run(what: Target, runs: int, seed: int, corpus: Path, findings: Path) -> Report:
    """`runs` executions from `corpus` and the committed seeds on; 0 replays them. `corpus` grows."""
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    places = [str(corpus), *map(str, [seeds_of(what.name)] if seeds_of(what.name).is_dir() else [])]
    options = [
        f"-runs={runs}",
        f"-timeout={HANGS_S}",
        "-report_slow_units=100000",  # a paused or busy machine is no finding; what hangs is, by -timeout
        f"-seed={seed}",
        f"-max_len={what.longest}",
        f"-artifact_prefix={findings}/",
    ]
    before = set(findings.iterdir())
    start = time.monotonic()
    done = subprocess.run([*what.command, *options, *places], capture_output=True, text=True, check=False, cwd=findings)
    words = done.stderr + done.stdout
    counted = re.search(r"Done (\d+) runs|stat::number_of_executed_units: (\d+)", words)
    found = sorted(set(findings.iterdir()) - before)
    if done.returncode and not found:  # it broke off without an input to blame, which is a finding too
        (findings / f"{what.name}.log").write_text(words)
        found = [findings / f"{what.name}.log"]
    executions = int(next(filter(None, counted.groups()))) if counted else None
    return Report(executions, time.monotonic() - start, found, words)


def run_jobs(what: Target, arguments: argparse.Namespace, corpus: Path, findings: Path) -> Report:
    """As `run`, shared among several processes that learn from one another when they begin."""
    share = -(-arguments.runs // arguments.jobs)
    with ThreadPoolExecutor(arguments.jobs) as pool:
        seeds = range(arguments.seed, arguments.seed + arguments.jobs)
        reports = list(pool.map(lambda seed: run(what, share, seed, corpus, findings / str(seed)), seeds))
    counts = [one.executions for one in reports if one.executions is not None]
    return Report(
        sum(counts) if len(counts) == len(reports) else None,
        max(one.seconds for one in reports),
        [path for one in reports for path in one.findings],
        "\n".join(one.words for one in reports),
    )


def seeds_of(name: str) -> Path:
    """The committed inputs of a target; all nets share theirs."""
    return SEEDS / ("infer" if name in NETS else name)


def in_words(report: Report) -> str:
    """How far a target came."""
    if report.executions is None:
        how_far = f"{'stopped by a finding':43}"
    else:
        rate = report.executions / max(report.seconds, 1e-9)
        how_far = f"{report.executions:12,} executions {rate:9,.0f} a second"
    return f"{how_far}  {len(report.findings)} findings"


def merge(what: Target, corpus: Path) -> int:
    """Replace the committed seeds by the fewest inputs that reach what they and `corpus` reach."""
    kept = corpus.parent / f"{what.name}-merged"
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    places = [str(place) for place in (kept, seeds_of(what.name), corpus) if place.is_dir()]
    subprocess.run([*what.command, "-merge=1", *places], capture_output=True, check=True)
    shutil.rmtree(seeds_of(what.name), ignore_errors=True)
    shutil.move(kept, seeds_of(what.name))
    return sum(1 for _ in seeds_of(what.name).iterdir())


def main() -> int:
    names = (*C_TARGETS, *PYTHON)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(names)} (default: all)")
    parser.add_argument("--runs", type=int, default=1_000_000, help="executions of each target (default 1,000,000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="processes that share the executions of a target")
    parser.add_argument("--merge", action="store_true", help="make the committed seeds of what was learned so far")
    arguments = parser.parse_args()
    unknown = set(arguments.targets) - set(names)
    if unknown:
        parser.error(f"TARGET: found {', '.join(sorted(unknown))}, need one of {', '.join(names)}")
    place = ROOT / "build/fuzz"
    total, stopped, findings = 0, 0, 0
    for name in arguments.targets or names:
        what, corpus = target(name, place / "programs"), place / "corpus" / name
        if arguments.merge:
            print(f"{name}: {merge(what, corpus)} seeds in {seeds_of(name).relative_to(ROOT)}")
            continue
        report = run_jobs(what, arguments, corpus, place / "findings" / name)
        total, findings = total + (report.executions or 0), findings + len(report.findings)
        stopped += report.executions is None
        print(f"{name:14} {in_words(report)}  corpus {sum(1 for _ in corpus.iterdir()):,}", flush=True)
        for path in report.findings:
            print(f"  {path.relative_to(ROOT)}")
    uncounted = f" without those of {stopped} targets stopped by a finding" if stopped else ""
    print(f"{total:,} executions{uncounted}, {findings} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
