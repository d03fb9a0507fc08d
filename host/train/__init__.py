"""Training: front end, networks, augmentation, presets. `train` is the way in; `Network` is what comes out."""

from host.nn.network import Network, Provenance
from host.train.preset import Preset
from host.train.presets import PRESETS
from host.train.progress import Progress
from host.train.two_layer.fit import train

__all__ = ["PRESETS", "Network", "Preset", "Progress", "Provenance", "train"]
