"""NPZ archives made to harm, as data and as checkpoints: pickles, bombs, lies about shapes and members."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hostile_refusals import ROWS, Runner, data_refused, refused


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


@pytest.mark.parametrize("key", ["images", "inputs"])
@pytest.mark.parametrize("case", NPZ_CASES)
def test_hostile_npz(run_limited: Runner, good_model: Path, tmp_path: Path, case: str, key: str) -> None:
    path = tmp_path / "d.npz"
    path.write_bytes(NPZ_CASES[case]().replace(b"images.npy", f"{key}.npy".encode()))
    assert "d.npz" in data_refused(run_limited, good_model, path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("case", NPZ_CASES)
def test_hostile_checkpoint(run_limited: Runner, tmp_path: Path, case: str) -> None:
    path = tmp_path / "m.checkpoint"
    path.write_bytes(NPZ_CASES[case]())
    assert "delete the file" in refused(run_limited, tmp_path, "checkpoint", path)
    assert not (tmp_path / "sprung").exists()


FACT_CASES = ["[" * 100_000, "null", "{}", '{"format":1,"fingerprint":"mark","epochs":1e999,"history":{}}']


@pytest.mark.parametrize("text", FACT_CASES, ids=range(len(FACT_CASES)))
def test_hostile_facts_of_a_checkpoint(run_limited: Runner, tmp_path: Path, text: str) -> None:
    path = tmp_path / "m.checkpoint"
    path.write_bytes(archive(described(f"({len(text)},)", data=text.encode()), name="facts.npy"))
    assert "delete the file" in refused(run_limited, tmp_path, "checkpoint", path)
