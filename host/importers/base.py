"""What the readers of all formats share: what the user may say, what comes out, and how a net is put together."""

from __future__ import annotations

import hashlib
import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from host.data.problem import one_line, problem
from host.data.samples import MAX_SIDE
from host.errors import InputError, ToolMissing
from host.nn.encode import vector_sides
from host.nn.formats import FULL_TOP
from host.nn.given import Given
from host.nn.layers import Architecture, Dense, LayerSpec
from host.nn.limits import MAX_ALL_ELEMENTS, MAX_CLASSES, MAX_ELEMENTS, MAX_FILE_BYTES, MAX_LAYERS, MAX_NAME
from host.nn.network import Network, Provenance
from host.nn.parameters import Parameters, slots
from host.nn.scaling import Scaling

DATASET = "imported"
"""The data set of a net whose training nobody here saw."""


@dataclass(frozen=True)
class Options:
    """What the user says about a file. `labels` are the names of the classes, `input_range` the floats that pixel codes
    0 and 255 stand for, `shape` the (height, width) of what a net takes as a vector; None: what the file says, or a
    default."""

    labels: tuple[str, ...] | None = None
    input_range: tuple[float, float] | None = None
    shape: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class Imported:
    """A net that was read. `notes` are lines for a person: what was taken and how exactly; `left` are the operators
    that the host computes, in order."""

    network: Network
    source: str
    notes: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Piece:
    """A layer with its numbers, laid out as in the model file: weights float32 (outputs, channels of a group, row,
    column) or (outputs, inputs), the inputs of a map in the order channel, row, column; bias float32 (outputs,)."""

    spec: LayerSpec
    weights: NDArray[np.float32] | None = None
    bias: NDArray[np.float32] | None = None
    output_max: float = 0.0


def refused(path: Path, place: str, found: object, need: str, do: str) -> InputError:
    """Returns (does not raise) `FILE: place: found X, need Y; do Z`."""
    return problem(path.name, place, str(found), need, do)


def library(path: Path, name: str, extra: str) -> ModuleType:
    """An optional reader; raise ToolMissing, with the way to it, where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        advice = f"run `pip install 'digitduino[{extra}]'`"
        raise ToolMissing(
            one_line(f"{path.name}: found no {name} ({error}), need it to read such files; {advice}")
        ) from error


def check_file(path: Path) -> None:
    """Raise InputError where there is no file, or one that is too large."""
    if path.is_dir():
        do = "name the file, or convert a SavedModel to .tflite"
        raise problem(path, "file", "a folder", "the file of a trained net", do)
    if not path.is_file():
        raise problem(path, "file", "nothing", "the file of a trained net", "check the path")
    size = path.stat().st_size
    if size == 0:
        raise problem(path, "file", "damage (no bytes)", "the whole file of a trained net", "export the net again")
    if size > MAX_FILE_BYTES:
        raise problem(path, "file", f"{size:,} bytes", f"at most {MAX_FILE_BYTES:,}", "a board holds no such net")


def read_bytes(path: Path) -> bytes:
    """All of a file; raise InputError as check_file does."""
    check_file(path)
    return path.read_bytes()


def scaling_of(options: Options) -> Scaling:
    """How pixel codes become what a float net takes."""
    low, high = options.input_range or (0.0, 1.0)
    return Scaling(offset=_whole(-low * FULL_TOP / (high - low)), divisor=FULL_TOP / (high - low))


def what_goes_in(network: Network) -> str:
    """A note of which floats the pixel codes are."""
    (low, high), step = network.scaling.reach, 1 / network.scaling.divisor
    change = "" if network.given is not None else "; --input-range says otherwise"
    return f"input: codes 0..255 stand for {low:.6g}..{high:.6g}, a step for {step:.6g}{change}"


def vector_shape(path: Path, options: Options, values: int) -> tuple[int, int, int]:
    """(1, height, width) of what a net takes as a vector."""
    height, width = options.shape or vector_sides(values) or (0, 0)
    if not height:
        need = f"height times width, each up to {MAX_SIDE}"
        raise refused(path, "input", f"{values} values", need, "train the net with a few more inputs, or fewer")
    if height * width != values:
        raise refused(path, "--shape", f"{height},{width}", f"{values} values", "give another, or none")
    if max(height, width) > MAX_SIDE:
        raise refused(path, "--shape", f"{height},{width}", f"sides up to {MAX_SIDE}", "give another, or none")
    return 1, height, width


def shape_notes(options: Options, shape: tuple[int, int, int]) -> list[str]:
    """That a map was chosen for a vector, which is no row."""
    _, height, width = shape
    if options.shape is not None or height == 1:
        return []
    return [f"{height * width} values are taken as {height}x{width}; --shape says otherwise"]


def _whole(offset: float) -> float:
    return int(offset) if float(offset).is_integer() else offset


def network_of(
    path: Path,
    source: str,
    input_shape: tuple[int, int, int],
    pieces: Sequence[Piece],
    scaling: Scaling,
    labels: Sequence[str] | None = None,
    given: Given | None = None,
    content: bytes | None = None,
) -> Network:
    """Put a net together; raise InputError where its parts do not fit, or are larger than a model file holds.

    `labels` None names the classes 0, 1, …; `source` names the tool whose file `path` is; `content` is what it was made
    of where there is no file.
    """
    check_sizes(path, input_shape, [piece.spec for piece in pieces])
    architecture = Architecture(input_shape, tuple(piece.spec for piece in pieces))
    if not isinstance(architecture.layers[-1], Dense):
        last = type(architecture.layers[-1]).__name__
        raise refused(path, "last layer", last, "a dense layer", "end the net with one, behind which only softmax is")
    names = tuple(map(str, range(architecture.classes))) if labels is None else tuple(labels)
    _check_labels(path, names, architecture.classes)
    return Network(
        parameters=_parameters(path, architecture, pieces),
        scaling=scaling,
        labels=names,
        provenance=Provenance(DATASET, _digest(path, content), safe_name(path), 0, source),
        output_max=tuple(piece.output_max for piece in pieces),
        given=given,
    )


def _digest(path: Path, content: bytes | None) -> str:
    return hashlib.sha256(path.read_bytes() if content is None else content).hexdigest()


def safe_name(path: Path) -> str:
    """The file's stem as the name of a net: at most MAX_NAME printable letters."""
    letters = "".join(letter if letter.isalnum() or letter in "-_.+" else "-" for letter in path.stem)
    return letters[:MAX_NAME] or "net"


def check_sizes(path: Path, input_shape: tuple[int, int, int], specs: Sequence[LayerSpec]) -> None:
    """Raise InputError where a net has more layers, or a layer more numbers, than a model file may hold."""
    if not 1 <= len(specs) <= MAX_LAYERS:
        raise refused(path, "layers", len(specs), f"1..{MAX_LAYERS}", "give a smaller net")
    if math.prod(input_shape) > MAX_ELEMENTS:
        raise refused(path, "input", f"{math.prod(input_shape):,} values", f"at most {MAX_ELEMENTS:,}", "give less")
    try:
        shapes = Architecture(input_shape, tuple(specs)).shapes
    except InputError as error:
        raise InputError(one_line(f"{path.name}: {error}")) from error
    sizes = [math.prod(shape) for shape in shapes]
    sizes += [math.prod(slot.shape) for slot in slots(Architecture(input_shape, tuple(specs)))]
    if max(sizes) > MAX_ELEMENTS or sum(sizes) > MAX_ALL_ELEMENTS:
        found = f"{max(sizes):,} numbers in one array, {sum(sizes):,} in all"
        need = f"at most {MAX_ELEMENTS:,} and {MAX_ALL_ELEMENTS:,}"
        raise refused(path, "layers", found, need, "give a smaller net")


def _check_labels(path: Path, labels: tuple[str, ...], classes: int) -> None:
    if not 2 <= classes <= MAX_CLASSES:
        raise refused(path, "classes", classes, f"2..{MAX_CLASSES} scores", "end the net with a score for each class")
    for label in labels:
        if not (label.isprintable() and 1 <= len(label) <= MAX_NAME):
            raise refused(path, "labels", repr(label), f"1..{MAX_NAME} printable letters", "give others with --labels")
    if len(labels) != classes or len(set(labels)) != classes:
        found = f"{len(labels)} names, {len(set(labels))} of them different"
        raise refused(path, "labels", found, f"{classes} different ones", "give them with --labels A,B,C")


def _parameters(path: Path, architecture: Architecture, pieces: Sequence[Piece]) -> Parameters:
    found = [np.zeros(0, np.float32)]
    for slot in slots(architecture):
        array = getattr(pieces[slot.layer], slot.name)
        place = f"layer {slot.layer} {type(architecture.layers[slot.layer]).__name__}"
        if array is None or array.shape != slot.shape:
            shape = "none" if array is None else array.shape
            raise refused(path, place, f"{slot.name} {shape}", f"{slot.shape}", "export the net again")
        if not np.isfinite(array).all():
            raise refused(path, place, f"NaN or infinity in {slot.name}", "finite numbers", "export the net again")
        found.append(np.asarray(array, np.float32).reshape(-1))
    return Parameters(architecture, np.concatenate(found), np.zeros(0, np.float32))
