"""The NumPy engine: vectorised layers with their gradients, in whatever float type the numbers have."""

from host.train.layers.loss import cross_entropy, distillation, softmax
from host.train.layers.sequential import Observer, Sequential, Training, observe

__all__ = ["Observer", "Sequential", "Training", "cross_entropy", "distillation", "observe", "softmax"]
