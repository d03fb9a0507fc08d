"""Training: front end, networks, augmentation, presets. `train` is the way in; `Network` is what comes out."""

from host.train.fit import Progress, train
from host.train.network import Dense, Network, Provenance, accuracy, forward
from host.train.presets import PRESETS, Preset

__all__ = ["PRESETS", "Dense", "Network", "Preset", "Progress", "Provenance", "accuracy", "forward", "train"]
