"""Files made to harm: each is refused by one line and exit code 2, within 512 MiB and 5 s of processor time, and
nothing is written, opened or unpickled for it."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import h5py
import numpy as np
import pytest
from networks import random_network

from host.deploy import model as model_file

Runner = Callable[..., tuple[int, str]]
SIDE = 16
ROWS = 40


@pytest.fixture(scope="module")
def run() -> Iterator[Runner]:
    """`run(folder, words…)` is the exit code and everything that was said; see hostile_runner.py."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "OPENBLAS_NUM_THREADS": "1",
        "DIGITDUINO_DATA": "",
    }
    command = [sys.executable, str(Path(__file__).with_name("hostile_runner.py"))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        to_runner, from_runner = process.stdin, process.stdout

        def one(folder: Path, *words: object) -> tuple[int, str]:
            to_runner.write(json.dumps([str(folder), *map(str, words)]) + "\n")
            to_runner.flush()
            code, said = json.loads(from_runner.readline())
            return code, said

        yield one
        to_runner.close()


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound model for images of SIDE × SIDE."""
    path = tmp_path_factory.mktemp("good") / "good.h5"
    model_file.save(random_network(shape=(SIDE, SIDE), classes=10), path)
    return path


def snapshot(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.lstat().st_size for path in sorted(folder.rglob("*"))}


def refused(run: Runner, folder: Path, *words: object) -> str:
    """The one line."""
    before = snapshot(folder)
    code, said = run(folder, *words)
    assert code == 2, (code, said[-2000:])
    assert said.startswith("host: ") and said.count("\n") == 1 and said[:-1].isprintable(), said
    assert snapshot(folder) == before
    return said


def data_refused(run: Runner, good: Path, path: Path) -> str:
    return refused(run, path.parent, "evaluate", good, "--data", path)


# --- HDF5: data and models ---------------------------------------------------------------------------------------


def replace(file: h5py.File, name: str, data: object = None, **options: object) -> None:
    del file[name]
    if data is not None or options:
        file.create_dataset(name, data=data, **options)


def unknown_filter(file: h5py.File, name: str) -> None:
    """A dataset whose pipeline names filter 32015 (Zstandard, a plug-in), declared and never written."""
    shape = file[name].shape
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk(shape)
    plan.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (3,))
    del file[name]
    parent, _, leaf = name.rpartition("/")
    h5py.h5d.create(file[parent].id, leaf.encode(), h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple(shape), dcpl=plan)


def link(kind: Callable[..., object], *arguments: str) -> Callable[[h5py.File, str], None]:
    def change(file: h5py.File, name: str) -> None:
        del file[name]
        file[name] = kind(*arguments)

    return change


def cyclic(file: h5py.File, name: str) -> None:
    del file[name]
    file[name] = h5py.SoftLink(f"/{name}")


def virtual(file: h5py.File, name: str) -> None:
    shape = file[name].shape
    layout = h5py.VirtualLayout(shape, "f4")
    layout[:] = h5py.VirtualSource("other.h5", "data", shape)
    del file[name]
    file.create_virtual_dataset(name, layout)


def external(file: h5py.File, name: str) -> None:
    shape = file[name].shape
    del file[name]
    file.create_dataset(name, shape, "f4", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def typed(dtype: object) -> Callable[[h5py.File, str], None]:
    def change(file: h5py.File, name: str) -> None:
        shape = file[name].shape
        replace(file, name, shape=shape, dtype=dtype)

    return change


def sized(shape: tuple[int, ...], **options: object) -> Callable[[h5py.File, str], None]:
    def change(file: h5py.File, name: str) -> None:
        rank = file[name].ndim
        chunks = options.get("chunks")
        if isinstance(chunks, tuple):
            options["chunks"] = (chunks * 2)[:rank]
        replace(file, name, shape=(shape * 2)[:rank], dtype="f4", **options)

    return change


def bomb(file: h5py.File, name: str) -> None:
    """Really written: 200 MiB of zeros in 200 kB."""
    rank = file[name].ndim
    shape = (200 << 18,) if rank == 1 else (200 << 8, 1 << 10)
    chunks = (1 << 20,) if rank == 1 else (1 << 10, 1 << 10)
    replace(file, name, shape=shape, dtype="f4", chunks=chunks, compression="gzip", compression_opts=1)
    step = chunks[0]
    zeros = np.zeros(chunks, "f4")
    for start in range(0, shape[0], step):
        file[name][start : start + step] = zeros


def huge_chunk(file: h5py.File, name: str) -> None:
    shape = file[name].shape
    replace(
        file, name, shape=shape, dtype="f4", chunks=(1 << 28,) + (1,) * (len(shape) - 1), maxshape=(None,) * len(shape)
    )


def itself(file: h5py.File, name: str) -> None:
    """The group that should be a dataset holds itself."""
    del file[name]
    group = file.create_group(name)
    group["loop"] = group


HDF5_CHANGES = {
    "external link": link(h5py.ExternalLink, "other.h5", "/data"),
    "external link to a pipe": link(h5py.ExternalLink, "pipe", "/data"),
    "dangling link": link(h5py.SoftLink, "/nowhere"),
    "cyclic link": cyclic,
    "virtual": virtual,
    "external storage": external,
    "unknown filter": unknown_filter,
    "lzf": sized((ROWS, 256), chunks=True, compression="lzf"),
    "petabytes": sized((1 << 41, 1 << 7), chunks=(64, 64), compression="gzip"),
    "exabytes": sized((1 << 30,), chunks=(1,)),
    "bomb": bomb,
    "huge chunk": huge_chunk,
    "texts": typed(h5py.string_dtype()),
    "bytes": typed("S8"),
    "compound": typed([("a", "f4"), ("b", "i4")]),
    "references": typed(h5py.ref_dtype),
    "ragged": typed(h5py.vlen_dtype(np.float32)),
    "opaque": typed(h5py.opaque_dtype(np.dtype("M8[s]"))),
    "null": lambda file, name: replace(file, name, h5py.Empty("f4")),
    "a group that holds itself": itself,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a pipe that nobody writes: who opens it waits for ever."""
    os.mkfifo(tmp_path / "pipe")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = np.zeros((ROWS, 256), "f4")
    return tmp_path


def data_hdf5(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        for split in ("train", "test"):
            file[f"{split}/data"] = np.zeros((ROWS, SIDE * SIDE), "f4")
            file[f"{split}/target"] = np.arange(ROWS) % 10
    return path


@pytest.mark.parametrize("name", ["train/data", "test/target"])
@pytest.mark.parametrize("change", HDF5_CHANGES)
def test_hostile_hdf5_data(run: Runner, good: Path, folder: Path, change: str, name: str) -> None:
    path = data_hdf5(folder / "d.h5")
    with h5py.File(path, "a") as file:
        HDF5_CHANGES[change](file, name)
    assert "d.h5" in data_refused(run, good, path)


@pytest.mark.parametrize("name", ["layers/0/weights", "layers/1/bias", "provenance/history/loss"])
@pytest.mark.parametrize("change", HDF5_CHANGES)
def test_hostile_model(run: Runner, folder: Path, change: str, name: str) -> None:
    path = folder / "m.h5"
    model_file.save(random_network(shape=(SIDE, SIDE), classes=10), path)
    with h5py.File(path, "a") as file:
        HDF5_CHANGES[change](file, name)
    assert "m.h5" in refused(run, folder, "export", path, "-o", "headers")


@pytest.mark.parametrize("name", ["layers", "layers/0", "provenance", "calibrations", "tuned"])
@pytest.mark.parametrize("target", ["pipe", "other.h5"])
def test_a_model_whose_group_lies_elsewhere_is_never_followed(
    run: Runner, folder: Path, name: str, target: str
) -> None:
    path = folder / "m.h5"
    model_file.save(random_network(shape=(SIDE, SIDE), classes=10), path)
    with h5py.File(path, "a") as file:
        if name in file:
            del file[name]
        file[name] = h5py.ExternalLink(target, "/")
    assert "links: found one that leads elsewhere" in refused(run, folder, "export", path, "-o", "headers")


MODEL_ATTRIBUTES: dict[str, tuple[str, str, object]] = {
    "labels of a mebibyte": ("/", "labels", json.dumps(["x" * (1 << 21)] * 10)),
    "labels nested": ("/", "labels", "[" * 100_000),
    "labels of numbers": ("/", "labels", "[1,2,3]"),
    "labels with escapes": ("/", "labels", json.dumps(["\x1b[2J", *"123456789"])),
    "labels with a surrogate": ("/", "labels", json.dumps(["\ud800", *"123456789"])),
    "labels with a new line": ("/", "labels", json.dumps(["a\nb", *"123456789"])),
    "labels turned around": ("/", "labels", json.dumps(["\u202eabc", *"123456789"])),
    "labels too long": ("/", "labels", json.dumps(["x" * 65, *"123456789"])),
    "an endless seed": ("provenance", "seed", float("inf")),
    "a seed that is no number": ("provenance", "seed", "seven"),
    "a shape of texts": ("/", "input_shape", ["a", "b"]),
    "a shape of three": ("/", "input_shape", [16, 16, 16]),
    "an endless range": ("layers/0", "output_max", float("inf")),
    "a range of many": ("layers/0", "output_max", np.ones(5000)),
    "a version of texts": ("/", "format_version", "1"),
    "versions": ("/", "format_version", [1, 2]),
    "levels with escapes": ("/", "front_end", "\x1b]0;title\x07"),
    "a hash with escapes": ("/", "content_hash", "\x1b[31m"),
    "a step of NaN": ("layers/0", "weight_step", float("nan")),
}


@pytest.mark.parametrize("case", MODEL_ATTRIBUTES)
def test_hostile_attributes_of_a_model(run: Runner, tmp_path: Path, case: str) -> None:
    group, name, value = MODEL_ATTRIBUTES[case]
    path = tmp_path / "m.h5"
    model_file.save(random_network(shape=(SIDE, SIDE), classes=10), path)
    with h5py.File(path, "a", libver="latest") as file:
        file[group].attrs[name] = value
    assert "m.h5" in refused(run, tmp_path, "export", path, "-o", "headers")


def test_a_model_with_a_hundred_thousand_groups(run: Runner, tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    model_file.save(random_network(shape=(SIDE, SIDE), classes=10), path)
    with h5py.File(path, "a", libver="latest") as file:
        empty = file.create_group("empty")
        for index in range(5000):
            empty[f"link {index}"] = empty
    assert "thousands" in refused(run, tmp_path, "export", path, "-o", "headers")


def test_a_model_that_names_itself_for_a_terminal_is_escaped(run: Runner, tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    model_file.save(random_network(shape=(SIDE, SIDE), classes=10), path)
    with h5py.File(path, "a") as file:
        file["provenance"].attrs["preset"] = "evil\x1b[2J\n*/ int x;"
    code, said = run(tmp_path, "export", path, "--board", "uno", "-o", "headers")
    assert code == 0 and "\x1b" not in said and "evil\\x1b[2J */ int x;" in said
    text = (tmp_path / "headers/model.h").read_text()
    assert "\x1b" not in text and "evil" in text and "*/ int" not in text


# --- gzip, IDX, CSV ----------------------------------------------------------------------------------------------


def idx(magic: int, *shape: int, data: bytes = b"") -> bytes:
    return struct.pack(f">{1 + len(shape)}I", magic, *shape) + data


def zeros(count: int) -> bytes:
    """`count` mebibytes, packed."""
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=1, mtime=0) as packed:
        for _ in range(count):
            packed.write(bytes(1 << 20))
    return stream.getvalue()


GOOD_LABELS = idx(0x801, ROWS, data=bytes(k % 10 for k in range(ROWS)))
IDX_CASES: dict[str, bytes | Callable[[], bytes]] = {
    "dimensions that overflow 64 bits": idx(0x803, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
    "dimensions that overflow to zero": idx(0x803, 1 << 31, 1 << 31, 4),
    "negative dimensions": struct.pack(">I3i", 0x803, -40, -16, 16) + bytes(ROWS * 256),
    "a gibibyte claimed": idx(0x803, 1 << 14, 256, 256),
    "more than declared": idx(0x803, ROWS, 16, 16, data=bytes(ROWS * 256 + 1)),
    "less than declared": idx(0x803, ROWS, 16, 16, data=bytes(ROWS * 256 - 1)),
    "wrong magic": idx(0xDEADBEEF, ROWS, 16, 16, data=bytes(ROWS * 256)),
    "floats": idx(0xD03, ROWS, 16, 16, data=bytes(ROWS * 256 * 4)),
    "255 dimensions": struct.pack(">I", 0x8FF) + b"\0\0\0\1" * 255,
    "nothing": b"",
    "a gzip bomb": lambda: zeros(600),
    "a bomb with a true header": lambda: gzip.compress(idx(0x803, 2400, 255, 255)) + zeros(600),
    "gzip of gzip": lambda: gzip.compress(zeros(300)),
    "gzip cut short": lambda: gzip.compress(bytes(100_000))[:50],
    "gzip with a lying length": lambda: (
        gzip.compress(idx(0x803, ROWS, 16, 16, data=bytes(ROWS * 256)))[:-4] + b"\xff\xff\xff\xff"
    ),
    "bzip2 bomb": lambda: bz2.compress(bytes(300 << 20), 1),
}


@pytest.mark.parametrize("case", IDX_CASES)
def test_hostile_idx(run: Runner, good: Path, tmp_path: Path, case: str) -> None:
    content = IDX_CASES[case]
    path = tmp_path / "x-images-idx3-ubyte"
    path.write_bytes(content if isinstance(content, bytes) else content())
    (tmp_path / "x-labels-idx1-ubyte").write_bytes(GOOD_LABELS)
    assert "idx" in data_refused(run, good, path)


ROW = ",".join(["3"] + ["7"] * 256)
CSV_CASES: dict[str, bytes | Callable[[], bytes]] = {
    "ragged": f"{ROW}\r\n{ROW},1\r\n".encode(),
    "two byte-order marks": b"\xef\xbb\xbf\xef\xbb\xbf" + f"{ROW}\n{ROW},\n".encode(),
    "UTF-16": ROW.encode("utf-16"),
    "NUL bytes": ROW.replace("7", "\0", 1).encode() + b"\n",
    "NUL file": bytes(1 << 20),
    "nan": ROW.replace("7", "nan", 1).encode(),
    "infinity": ROW.replace("7", "inf", 1).encode(),
    "minus infinity": ROW.replace("7", "-inf", 1).encode(),
    "1e400": ROW.replace("7", "1e400", 1).encode(),
    "underscored": ROW.replace("7", "1_0", 1).encode(),
    "hexadecimal": ROW.replace("7", "0x7", 1).encode(),
    "a huge field": lambda: b"3," + b"7" * (20 << 20) + ROW[3:].encode(),
    "a huge quoted field": lambda: b'3,"' + b"7" * (20 << 20) + b'"\n',
    "ten million columns": lambda: b"3" + b",7" * 10_000_000,
    "a billion columns, packed": lambda: (
        gzip.compress(b"3") + zeros(1).join([b""] * 1) + gzip.compress(b",7" * 50_000_000, 1) * 20
    ),
    "ten million empty lines": b"\n" * 10_000_000,
    "ten million short lines": lambda: b"3\n" * 10_000_000,
    "a bomb of rows": lambda: gzip.compress((ROW.replace("7", "0") + "\n").encode() * 100_000),
    "a gzip bomb": lambda: zeros(600),
    "a label of 1e30": ("1e30" + ROW[1:]).encode(),
    "a label with a fraction": ("3.5" + ROW[1:]).encode(),
    "terminal escapes": b"\x1b[2J,1,2\n\x1b]0;x\x07,1,2\n",
    "one carriage return a row": ROW.encode() + b"\r\x0b\x0c\x1c\x85",
}


@pytest.mark.parametrize("case", CSV_CASES)
def test_hostile_csv(run: Runner, good: Path, tmp_path: Path, case: str) -> None:
    content = CSV_CASES[case]
    path = tmp_path / "d.csv"
    path.write_bytes(content if isinstance(content, bytes) else content())
    assert "d.csv" in data_refused(run, good, path)


@pytest.mark.parametrize("content", [b"\x1b[2J\nb\n", b"a\na\n", b"x" * 65 + b"\nb\n", b"a\n", b"\xff\n1\n"])
def test_hostile_class_names(run: Runner, good: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "d.csv").write_text(f"{ROW}\n" * 20)
    (tmp_path / "d.classes.txt").write_bytes(content)
    assert "d.classes.txt" in data_refused(run, good, tmp_path / "d.csv")


# --- NPZ and checkpoints -----------------------------------------------------------------------------------------


class Trap:
    """Unpickling this makes a folder."""

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, ("sprung",))


def npy(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H" if version == b"\1\0" else "<I", len(text)) + text + data


def described(shape: str, descr: str = "'|u1'", data: bytes = b"") -> bytes:
    return npy(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}", data)


def archive(first: bytes, *, method: int = zipfile.ZIP_STORED, name: str = "images.npy", **others: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as file:
        file.writestr(name, first)
        for other, content in {"labels": described("(40,)", data=bytes(40)), **others}.items():
            file.writestr(f"{other}.npy", content)
    return stream.getvalue()


def pickled() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([Trap()] * 40, object), allow_pickle=True)
    return stream.getvalue()


def many_members() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for index in range(20_000):
            file.writestr(f"{index}.npy", b"")
    return stream.getvalue()


def overlapping() -> bytes:
    """Every entry of the directory points at the same packed mebibytes."""
    whole = archive(described("(600, 1024, 1024)", data=bytes(64 << 20)), method=zipfile.ZIP_DEFLATED)
    return whole.replace(b"labels.npy", b"images.npy")


U1_IMAGES = bytes(ROWS * 256)
NPZ_CASES: dict[str, Callable[[], bytes]] = {
    "a pickle in it": lambda: archive(pickled()),
    "a pickle for labels": lambda: archive(described("(40, 16, 16)", data=U1_IMAGES), labels=pickled()),
    "a bare pickle": lambda: pickle.dumps(Trap()),
    "a pickle behind a zip's name": lambda: b"PK\x03\x04" + pickle.dumps(Trap()),
    "a structured type with objects": lambda: archive(described("(40,)", "[('a', '|O')]", data=bytes(8 * 40))),
    "a zip bomb": lambda: archive(described("(600, 1024, 1024)", data=bytes(600 << 20)), method=zipfile.ZIP_DEFLATED),
    "overlapping members": overlapping,
    "names that lead out": lambda: archive(described("(40, 16, 16)", data=U1_IMAGES), name="../images.npy"),
    "absolute names": lambda: archive(described("(40, 16, 16)", data=U1_IMAGES), name="/tmp/images.npy"),
    "names without .npy": lambda: archive(described("(40, 16, 16)", data=U1_IMAGES), name="images"),
    "twenty thousand members": many_members,
    "negative sides": lambda: archive(described("(-40, -256)", data=U1_IMAGES)),
    "petabytes": lambda: archive(described("(1125899906842624,)")),
    "a number of 9,000 digits": lambda: archive(
        npy("{'descr': '|u1', 'fortran_order': False, 'shape': (0x" + "f" * 9000 + ",)}")
    ),
    "deep nesting": lambda: archive(npy("(" * 9000 + ")" * 900)),
    "code for a header": lambda: archive(npy("__import__('os').mkdir('sprung')")),
    "a type of subarrays": lambda: archive(described("(40,)", "('|u1', (256,))", data=U1_IMAGES)),
    "texts": lambda: archive(described("(40, 4)", "'<U4'", data=bytes(40 * 4 * 16))),
    "complex numbers": lambda: archive(described("(40, 256)", "'<c8'", data=bytes(40 * 256 * 8))),
    "version 3": lambda: archive(npy("{}", version=b"\3\0")),
    "encrypted": lambda: archive(described("(40, 16, 16)", data=U1_IMAGES)).replace(
        b"PK\x01\x02\x14\x03\x14\0\0\0", b"PK\x01\x02\x14\x03\x14\0\1\0"
    ),
    "an unknown method": lambda: archive(described("(40, 16, 16)", data=U1_IMAGES)).replace(
        b"PK\x01\x02\x14\x03\x14\0\0\0\0\0", b"PK\x01\x02\x14\x03\x14\0\0\0\x63\0"
    ),
    "LZMA that is none": lambda: archive(described("(40, 16, 16)", data=U1_IMAGES)).replace(
        b"PK\x01\x02\x14\x03\x14\0\0\0\0\0", b"PK\x01\x02\x14\x03\x14\0\0\0\x0e\0"
    ),
    "cut in the middle": lambda: archive(described("(40, 16, 16)", data=U1_IMAGES))[:5000],
    "a directory of lies": lambda: archive(described("(40, 16, 16)", data=U1_IMAGES))[:-12] + b"\xff" * 12,
}


@pytest.mark.parametrize("case", NPZ_CASES)
def test_hostile_npz(run: Runner, good: Path, tmp_path: Path, case: str) -> None:
    path = tmp_path / "d.npz"
    path.write_bytes(NPZ_CASES[case]())
    assert "d.npz" in data_refused(run, good, path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("case", NPZ_CASES)
def test_hostile_checkpoint(run: Runner, tmp_path: Path, case: str) -> None:
    path = tmp_path / "m.checkpoint"
    path.write_bytes(NPZ_CASES[case]())
    assert "delete the file" in refused(run, tmp_path, "checkpoint", path)
    assert not (tmp_path / "sprung").exists()


FACT_CASES = ["[" * 100_000, "null", "{}", '{"format":1,"fingerprint":"mark","epochs":1e999,"history":{}}']


@pytest.mark.parametrize("text", FACT_CASES, ids=range(len(FACT_CASES)))
def test_hostile_facts_of_a_checkpoint(run: Runner, tmp_path: Path, text: str) -> None:
    path = tmp_path / "m.checkpoint"
    path.write_bytes(archive(described(f"({len(text)},)", data=text.encode()), name="facts.npy"))
    assert "delete the file" in refused(run, tmp_path, "checkpoint", path)


# --- journals and reports ----------------------------------------------------------------------------------------


def journal(*texts: str) -> bytes:
    head = '{"journal":1,"facts":{"model":"ab"}}'
    return b"".join(f"{zlib.crc32(text.encode()):08x} {text}\n".encode() for text in (head, *texts))


def board(**changes: object) -> str:
    known = {
        "model": "00",
        "name": "x",
        "weights_crc": 1,
        "height": 4,
        "width": 4,
        "classes": 3,
        "format": 2,
        "marks": 0,
    }
    return json.dumps({"board": {**known, "clock_hz": 1, "tick_hz": 1, **changes}})


JOURNAL_CASES: dict[str, Callable[[], bytes]] = {
    "another file": lambda: b"hello\nworld\n",
    "zeros": lambda: bytes(1 << 20) + b"\n\n",
    "one endless line": lambda: b"0" * (1 << 20) + b"\nx\n",
    "deep nesting": lambda: journal("[" * 30_000, "1"),
    "a board without fields": lambda: journal('{"board":{}}', "1"),
    "no board": lambda: journal('{"board":null}', "1"),
    "a result without a board": lambda: journal('[0,"00"]', "1"),
    "two boards": lambda: journal(board(), board(), "1"),
    "endless classes": lambda: journal(board(classes=1 << 60), '[0,"00"]', "1"),
    "negative classes": lambda: journal(board(classes=-3), '[0,"' + "00" * 9 + '"]', "1"),
    "classes of text": lambda: journal(board(classes="3"), "1"),
    "an endless index": lambda: journal(board(), '[1e999,"00"]', "1"),
    "a large index": lambda: journal(board(), f'[{10**30},"00"]', "1"),
    "a float index": lambda: journal(board(), '[0.0,"00"]', "1"),
    "no number": lambda: journal(board(), '[NaN,"00"]', "1"),
    "other facts with escapes": lambda: (
        journal().replace(b"ab", b"ab")
        and (lambda text: f"{zlib.crc32(text.encode()):08x} {text}\n".encode() + journal())(
            '{"journal":1,"facts":{"model":"\\u001b[2J"}}'
        )
    ),
    "300 MiB": lambda: b"",
}


@pytest.mark.parametrize("case", JOURNAL_CASES)
def test_hostile_journal(run: Runner, tmp_path: Path, case: str) -> None:
    path = tmp_path / "run.journal"
    path.write_bytes(JOURNAL_CASES[case]())
    if case == "300 MiB":
        os.truncate(path, 300 << 20)
    said = refused(run, tmp_path, "journal", path)
    assert "start anew" in said or "choose another --journal" in said


REPORT_CASES = [
    "",
    "[",
    "[" * 100_000,
    "null",
    '{"schema":1,"board":{}}',
    '{"schema":1,"board":1,"confusion":[[1e999]]}',
]


@pytest.mark.parametrize("text", REPORT_CASES, ids=range(len(REPORT_CASES)))
def test_hostile_report(run: Runner, tmp_path: Path, text: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    assert "report.json" in refused(run, tmp_path, "report", path)


def test_names_in_a_report_reach_a_picture_as_they_are(run: Runner, tmp_path: Path) -> None:
    """Neither as formulas, which matplotlib would fail to read, nor as elements of an SVG or letters of a terminal."""
    report = {
        "schema": 1,
        "n": 4,
        "confusion": [[2, 0], [0, 2]],
        "accuracy": {"device": 1.0},
        "dataset": "$\\frac{",
        "split": "<script>alert(1)</script>",
        "model": {"preset": "]]><!-- \x1b[2J\0", "hash": "0" * 64, "format": "int8"},
        "board": {"kind": "uno", "mcu": "&x;", "simulated": False},
    }
    (tmp_path / "report.json").write_text(json.dumps(report))
    code, said = run(tmp_path, "plot", "report.json", "recall", "-o", "p.svg")
    assert code == 0, said
    elements = {element.tag.rpartition("}")[2] for element in ElementTree.parse(tmp_path / "p.svg").iter()}
    assert "svg" in elements and "script" not in elements and "\x1b" not in said
