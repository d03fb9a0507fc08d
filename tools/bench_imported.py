"""Other people's nets of TensorFlow Lite on a simulated board, every code held against TensorFlow Lite Micro's.

    tools/bench_imported.py [--native N] [--board N] [--markdown]

Takes the nets in DIGITDUINO_DATA/models, imports each, draws N random inputs, asks TensorFlow Lite Micro (the pinned
`tflite-micro`) for the codes before the softmax, and verifies natively and on the smallest simulated board that holds
the net. Beside our flash, RAM and cycles stands the smallest arena with which TensorFlow Lite Micro runs the net on
this machine, to which its own code and the file come. Every verification must pass.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests/host")]

from tflite_nets import answers, ending_at  # noqa: E402

from host import api  # noqa: E402
from host.errors import InputError  # noqa: E402

NETS = {"magic_wand": 16, "micro_speech": 8, "keyword_spotting": 33}
"""Of each file the tensor that goes into its softmax."""
BOARDS = ("uno", "mega", "atmega1284p")
HEAD = ("net", "board", "inputs equal", "flash", "RAM", "stack left", "cycles", "ms", "file", "TFLM's arena")


def drawn_inputs(network: api.Network, count: int, sample: np.ndarray) -> np.ndarray:
    """Random inputs of the kind that the net takes: half of them noise, half like those that came with it."""
    random = np.random.default_rng(count)
    low, high = sample.min(), sample.max()
    noise = random.uniform(low, high, (count, *sample.shape[1:]))
    near = sample[random.integers(0, len(sample), count)] + random.normal(0, (float(high) - low) / 50, noise.shape)
    found = np.where((np.arange(count) % 2 == 0).reshape(-1, *(1,) * (noise.ndim - 1)), noise, near)
    if sample.dtype == np.int8:
        return np.clip(np.rint(found), -128, 127).astype(np.int8)
    return found.astype(np.float32)


def least_arena(data: bytes) -> int:
    """Bytes that TensorFlow Lite Micro needs on this machine, to 16 bytes. Tried in a process of its own each, for it
    does not survive too few."""
    too_few, enough = 0, 1 << 20
    while enough - too_few > 16:
        middle = (too_few + enough) // 2
        too_few, enough = (too_few, middle) if _runs_in(data, middle) else (middle, enough)
    return enough


def _runs_in(data: bytes, arena: int) -> bool:
    if (child := os.fork()) == 0:
        try:
            os.close(2)  # what it complains of
            from tflite_micro import runtime

            interpreter = runtime.Interpreter.from_bytes(data, arena_size=arena)
            wanted = interpreter.get_input_details(0)
            interpreter.set_input(np.zeros(wanted["shape"], wanted["dtype"]), 0)
            interpreter.invoke()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def verified(network: api.Network, inputs: np.ndarray, codes: np.ndarray, board: str) -> dict[str, Any]:
    """The report of a verification that has to pass."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "inputs.npz"
        np.savez(path, inputs=inputs, codes=codes)
        found = api.verify_on(network, api.load_samples(str(path), network), board)
    if not found.passed:
        sys.exit(f"{board}: {found.document['agreement']}")
    return found.document


def row(name: str, native: int, on_board: int) -> list[str]:
    """One net."""
    folder = Path(os.environ["DIGITDUINO_DATA"]) / "models"
    data = (folder / f"{name}.tflite").read_bytes()
    network = api.import_model(folder / f"{name}.tflite")
    inputs = drawn_inputs(network, native, np.load(folder / f"{name}.golden.npz")["inputs"])
    codes = answers(ending_at(data, NETS[name]), inputs)
    here = verified(network, inputs, codes, "native")["agreement"]["original_equal"]
    for board in BOARDS:
        try:
            api.compile_for(network, board)
        except InputError as error:
            print(error, file=sys.stderr)
        else:
            break
    found = verified(network, inputs[:on_board], codes[:on_board], board)
    cycles, memory, equal = found["cycles"]["mean"], found["memory"], found["agreement"]["original_equal"]
    milliseconds = f"{1000 * cycles / found['board']['f_cpu']:,.0f}"
    sizes = [f"{memory[key]:,}" for key in ("flash", "ram_static", "ram_free_min")]
    costs = [*sizes, f"{cycles:,.0f}", milliseconds, f"{len(data):,}", f"{least_arena(data):,}"]
    return [name, board, f"{here:,} native, {equal:,} there", *costs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--native", type=int, default=1000, metavar="N", help="inputs on the native build")
    parser.add_argument("--board", type=int, default=100, metavar="N", help="of these on the simulated board")
    parser.add_argument("--markdown", action="store_true")
    chosen = parser.parse_args()
    if "DIGITDUINO_DATA" not in os.environ:
        print("imported nets: left out, DIGITDUINO_DATA names no folder with models")
        return
    rows = [row(name, chosen.native, chosen.board) for name in NETS]
    if chosen.markdown:
        for line in (HEAD, ["---"] * 2 + ["---:"] * (len(HEAD) - 2), *rows):
            print(f"| {' | '.join(line)} |")
    else:
        for line in rows:
            print(", ".join(f"{name} {value}" for name, value in zip(HEAD, line, strict=True)))


if __name__ == "__main__":
    main()
