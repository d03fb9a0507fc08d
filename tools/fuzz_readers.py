"""Feeds what a fuzzer invents to everything of ours that reads a file, a frame or a specification.

Only InputError may come out. Run through tools/fuzz.py, or by itself:

python tools/fuzz_readers.py csv -runs=100000 -seed=1 CORPUS
"""

from __future__ import annotations

import io
import sys
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import atheris
import h5py
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

with atheris.instrument_imports(
    include=[
        *("host.data", "host.importers", "host.link", "host.modelfile", "host.nn", "host.report"),
        "host.train.checkpoint",
    ]
):
    from host.cli.import_ import lowered
    from host.data import sandbox
    from host.data.files import load_inputs, load_path
    from host.errors import DigitduinoError, FrameError, InputError
    from host.importers import Imported, Options, guard
    from host.importers.keras import read as read_keras
    from host.importers.onnx import read as read_onnx
    from host.importers.tflite import read as read_tflite
    from host.link import wire
    from host.link.faults import parse_faults
    from host.link.journal import open_journal
    from host.modelfile import file as model_file
    from host.report.plots.measured import from_report
    from host.train import checkpoint

FACTS = {"model": "0" * 16, "dataset": "digits", "split": "test", "format": "int8"}
IMAGES = 8
SHORT_YARDSTICKS = 40
"""Of processor time in the sandbox. What is short takes few, what is endless is refused so much sooner."""
_PLACE = Path(tempfile.mkdtemp(prefix="fuzz-"))


def read_file(name: str) -> Callable[[bytes], None]:
    """A reader of data sets, chosen by the file's name."""

    def feed(data: bytes) -> None:
        path = _PLACE / name
        path.write_bytes(data)
        if load_inputs(path) is None:
            load_path(path)

    return feed


def read_pair(data: bytes) -> None:
    """IDX: the first two bytes say where the labels begin."""
    cut = int.from_bytes(data[:2], "little")
    (_PLACE / "x-images-idx3-ubyte").write_bytes(data[2:][:cut])
    (_PLACE / "x-labels-idx1-ubyte").write_bytes(data[2:][cut:])
    load_path(_PLACE / "x-images-idx3-ubyte")


def read_model(data: bytes) -> None:
    path = _PLACE / "model.h5"
    path.write_bytes(data)
    model_file.load(path)


def read_net(name: str, read: Callable[[Path, Options], Imported]) -> Callable[[bytes], None]:
    """As `host import` reads a file of that name, up to what it would save."""

    def feed(data: bytes) -> None:
        path = _PLACE / name
        path.write_bytes(data)
        lowered(read(path, Options()).network)

    return feed


def read_keras_config(data: bytes) -> None:
    """The description of a net, in a sound archive beside the numbers of a small one: the CRC of an archive that the
    fuzzer made would be wrong before anything is read. HDF5 that is sound needs no sandbox, which costs most."""
    guard.read_in_sandbox = lambda path, read: None
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("config.json", data)
        archive.writestr("model.weights.h5", _weights())
    read_net("net.keras", read_keras)(whole.getvalue())


@cache
def _weights() -> bytes:
    """What a .keras file holds of a convolution 2×2 of two kernels, its normalisation, and a dense layer 8 × 3."""
    arrays = {
        "conv2d": ((2, 2, 1, 2), (2,)),
        "batch_normalization": ((2,),) * 4,
        "dense": ((8, 3), (3,)),
    }
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        for name, sizes in arrays.items():
            for at, size in enumerate(sizes):
                file[f"layers/{name}/vars/{at}"] = np.full(size, 0.25, np.float32)
    return memory.getvalue()


def read_journal(data: bytes) -> None:
    """Each line gets its CRC, or nothing behind it would be reached; one that begins with `!` goes in as it is."""
    lines = (line[1:] if line[:1] == b"!" else b"%08x %s" % (zlib.crc32(line), line) for line in data.split(b"\n"))
    path = _PLACE / "run.journal"
    path.write_bytes(b"\n".join(lines))
    with open_journal(path, FACTS, IMAGES, resume=True):
        pass


def read_faults(data: bytes) -> None:
    parse_faults(data.decode("utf-8", "replace"))


def read_frames(data: bytes) -> None:
    """The first byte cuts the stream into pieces; the second says how many classes a RESULT has."""
    step, classes = (data[0] % 64 + 1, data[1]) if len(data) > 1 else (1, 1)
    splitter = wire.FrameSplitter()
    for start in range(2, len(data), step):
        for piece in splitter.feed(data[start : start + step]):
            unpack(piece, classes)
    # And once as the inside of a sound frame, which chance does not make.
    if len(data) > 4 and data[2] in set(wire.MessageType):
        unpack(wire.encode(wire.Frame(wire.MessageType(data[2]), data[3], data[4:]))[:-1], classes)


def unpack(piece: bytes, classes: int) -> None:
    kinds = {
        wire.MessageType.READY: wire.Ready,
        wire.MessageType.STATS_REPLY: wire.Stats,
        wire.MessageType.ERROR: wire.Refusal,
        wire.MessageType.PONG: wire.Ping,
        wire.MessageType.BAUD_SET: wire.Baud,
    }
    try:
        frame = wire.decode(piece)
        if frame.type is wire.MessageType.RESULT:
            wire.Result.unpack(frame.payload, classes)
        elif frame.type in kinds:
            kinds[frame.type].unpack(frame.payload)
    except FrameError:
        pass


def read_report(data: bytes) -> None:
    path = _PLACE / "report.json"
    path.write_bytes(data)
    from_report(path)


def read_checkpoint(data: bytes) -> None:
    path = _PLACE / "training.npz"
    path.write_bytes(data)
    checkpoint.load(path, "mark")


READERS: dict[str, Callable[[bytes], None]] = {
    "csv": read_file("data.csv"),
    "gzip": read_file("data.csv.gz"),
    "npz": read_file("data.npz"),
    "hdf5": read_file("data.h5"),
    "idx": read_pair,
    "model": read_model,
    "tflite": read_net("net.tflite", read_tflite),
    "onnx": read_net("net.onnx", read_onnx),
    "keras": read_keras_config,
    "keras_hdf5": read_net("net.h5", read_keras),
    "journal": read_journal,
    "report": read_report,
    "checkpoint": read_checkpoint,
    "faults": read_faults,
    "frames": read_frames,
}


def main() -> None:
    feed = READERS[sys.argv[1]]

    def one(data: bytes) -> None:
        try:
            feed(data)
        except DigitduinoError as error:
            if not isinstance(error, InputError) or "\n" in str(error):
                raise AssertionError(f"{type(error).__name__}: {error}") from error

    sandbox.BASE_YARDSTICKS = SHORT_YARDSTICKS
    warnings.simplefilter("error")
    atheris.Setup([sys.argv[0], *sys.argv[2:]], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
