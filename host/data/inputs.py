"""What a net is given, in its own unit: a file's `inputs`, which become u8 codes only where a net is known, and beside
them `labels`, and `codes` or `outputs` of the net's original.

`inputs` (N, H, W), (N, H, W, channels) or (N, features): uint8 codes, int8 codes that count from 128, or floats. Here
it is checked that the arrays belong together; whether they have a net's shape is known where the net is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from host.data.problem import problem
from host.data.samples import Original
from host.data.values import Numbers

INPUTS = "inputs"
LABELS, CODES, OUTPUTS = BESIDE = ("labels", "codes", "outputs")


@dataclass(frozen=True, eq=False)
class Inputs:
    """`values` (N, …) as in the file, `labels` (N,) of any number type or None; `sha256` is over all that is here."""

    name: str
    values: Numbers
    labels: Numbers | None
    original: Original | None
    sha256: str


def make_inputs(path: Path, arrays: Mapping[str, Numbers]) -> Inputs:
    """Of a file's arrays by name, INPUTS among them. Raise InputError where they do not belong together."""
    values, labels = arrays[INPUTS], arrays.get(LABELS)
    if values.dtype not in (np.uint8, np.int8) and values.dtype.kind != "f":
        raise problem(path, INPUTS, f"values of type {values.dtype}", "uint8, int8 or floats", "convert them")
    if not 2 <= values.ndim <= 4:
        need = "(N, H, W), (N, H, W, channels) or (N, features)"
        raise problem(path, INPUTS, f"shape {values.shape}", need, "reshape them")
    if labels is not None and labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels is not None and labels.shape != (len(values),):
        found = f"shape {labels.shape} beside {len(values)} inputs"
        raise problem(path, LABELS, found, f"({len(values)},)", "give one label an input")
    for key in (CODES, OUTPUTS):
        if key in arrays:
            _check_answers(path, key, arrays[key], len(values))
    codes, outputs = arrays.get(CODES), arrays.get(OUTPUTS)
    has_original = codes is not None or outputs is not None
    digest = hashlib.sha256(b"digitduino inputs 1\n")
    for key in sorted(arrays):
        array = np.ascontiguousarray(arrays[key])
        digest.update(f"{key} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.data)
    return Inputs(
        name=path.name or str(path),
        values=values,
        labels=labels,
        original=Original(codes, outputs) if has_original else None,  # type: ignore[arg-type]
        sha256=digest.hexdigest(),
    )


def _check_answers(path: Path, key: str, answers: Numbers, count: int) -> None:
    if answers.ndim != 2 or len(answers) != count or answers.shape[1] < 2:
        found = f"shape {answers.shape} beside {count} inputs"
        raise problem(path, key, found, f"({count}, classes)", "give one row an input")
    if key == CODES and answers.dtype not in (np.int8, np.int32):
        need = "int8, or int32 where they are sums"
        raise problem(path, key, f"values of type {answers.dtype}", need, "convert them")
    if answers.dtype.kind == "f" and not np.isfinite(answers).all():
        row = int(np.flatnonzero(~np.isfinite(answers).all(axis=1))[0])
        raise problem(path, key, f"NaN or infinity in row {row}", "finite numbers", "compute them again")
