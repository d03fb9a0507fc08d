"""Training: front end, networks, augmentation, presets. `train` is the way in; `Network` is what comes out."""

from host.train.fit import train
from host.train.meter import Progress
from host.train.network import Dense, Network, Provenance, accuracy, forward
from host.train.preset import Preset
from host.train.presets import PRESETS

__all__ = ["PRESETS", "Dense", "Network", "Preset", "Progress", "Provenance", "accuracy", "forward", "train"]
