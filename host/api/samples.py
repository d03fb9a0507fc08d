"""What a net is asked: the images of a data set's split, or the inputs of a file, as codes for that net."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from host import data
from host.data.values import to_labels
from host.errors import InputError, near
from host.nn.encode import encode, encoded, takes
from host.nn.network import Network
from host.nn.shapes import text

_SPLITS = ("train", "test")
INPUTS_PART = "inputs"
"""Stands where a data set's split would, for a file that has none."""


@dataclass(frozen=True, eq=False)
class Asked:
    """`samples` of the data set `name` whose content has `sha256`; `part` is the split."""

    name: str
    part: str
    sha256: str
    samples: data.Samples
    cut: str | None = None
    """In words: how many of the values given lie beyond what codes stand for. None where none does."""

    @property
    def unit(self) -> str:
        """What one of them is called."""
        return "input" if self.part == INPUTS_PART else "digit"

    @property
    def one(self) -> str:
        """With its article."""
        return f"an {self.unit}" if self.part == INPUTS_PART else f"a {self.unit}"


def load_samples(
    name: str | Path, network: Network, split: str | None = None, limit: int | None = None, usual: str = "test"
) -> Asked:
    """The first `limit` samples of a `split`, else of the `usual` one, or of a file of inputs, which has none; raise
    InputError where the net cannot take them."""
    name = str(name)
    found, part = data.load_any(name), split or usual
    if part not in _SPLITS:
        raise InputError(f"{name}: split: found '{part}'{near(part, _SPLITS)}, need {' or '.join(_SPLITS)}; choose one")
    if isinstance(found, data.Inputs):
        if split is not None:
            raise InputError(
                f"{name}: --split: found {split}, need none for a file of inputs, which has no splits; leave it out"
            )
        samples, cut = _encoded(name, found, network)
        asked = Asked(found.name, INPUTS_PART, found.sha256, samples, cut)
    else:
        asked = Asked(found.name, part, found.sha256, _fitting(name, found, part, network))
    return asked if limit is None else replace(asked, samples=asked.samples.first(limit))


def load_split(name: str, part: str, network: Network, limit: int | None) -> tuple[data.Dataset, data.Split]:
    """The data set and the first `limit` images of its split, all labelled; raise InputError as above."""
    dataset = data.load(name)
    split = _fitting(name, dataset, part, network)
    return dataset, split if limit is None else split.first(limit)


def _fitting(name: str, dataset: data.Dataset, part: str, network: Network) -> data.Split:
    split: data.Split = getattr(dataset, part)
    if not takes(network, split.images.shape[1:]):
        shape = network.image_shape if network.input_shape[0] == 1 else network.input_shape
        found, need = ("×".join(map(str, sides)) for sides in (split.images.shape[1:], shape))
        raise InputError(
            f"{name}: images: found {found} pixels, need {need} for this model; choose the data it was trained on"
        )
    if len(dataset.labels) != len(network.labels):
        raise InputError(
            f"{name}: classes: found {len(dataset.labels)}, need {len(network.labels)} for this model; "
            "choose the data it was trained on"
        )
    return replace(split, images=encode(network, split.images))


def _encoded(name: str, inputs: data.Inputs, network: Network) -> tuple[data.Samples, str | None]:
    """The samples, and what was cut."""
    classes = len(network.labels)
    found = encoded(network, inputs.values, f"{name}: inputs")
    codes = found.codes
    labels = None if inputs.labels is None else to_labels(name, "labels", inputs.labels, classes)
    original = inputs.original
    for key in ("codes", "outputs"):
        answers = None if original is None else getattr(original, key)
        if answers is not None and answers.shape[1] != classes:
            raise InputError(
                f"{name}: {key}: found {text(answers.shape)} numbers, need {len(codes)}x{classes} for this model; "
                "choose the answers of its original"
            )
    samples = data.Samples(codes, None if labels is None else labels.astype(np.int64), original)
    return samples, _cut(network, found.cut)


def _cut(network: Network, share: float) -> str | None:
    if not share:
        return None
    low, high = network.scaling.reach
    do = (
        "convert them as the net was trained"
        if network.given is not None
        else "import the net with another --input-range"
    )
    return f"{100 * share:.3g} % of the values lie outside {low:.6g}..{high:.6g} and were cut: {do}"
