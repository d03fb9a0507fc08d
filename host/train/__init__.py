"""Training: recipes and presets, augmentation, engines, quantisation-aware training. `train` is the way in."""

from collections.abc import Callable
from typing import Any

from host.data import Dataset
from host.nn.network import Network, Provenance
from host.train import presets
from host.train.overrides import Wishes, customised
from host.train.preset import Preset
from host.train.presets import PRESETS
from host.train.progress import Progress
from host.train.train import train

__all__ = ["PRESETS", "Network", "Preset", "Progress", "Provenance", "Wishes", "train", "train_preset"]


def train_preset(
    dataset: Dataset,
    name: str,
    *,
    seed: int = 0,
    progress: Callable[[Progress], None] | None = None,
    interrupted: Callable[[Network], None] | None = None,
    **wishes: Any,
) -> Network:
    """Train by the preset of this name with some values replaced, named as in `Wishes`; see `train`."""
    recipe = presets.find(name).recipe_for(dataset.image_shape, len(dataset.train.labels))
    recipe = customised(recipe, Wishes(**wishes), name)
    return train(dataset, recipe, preset=name, seed=seed, progress=progress, interrupted=interrupted)
