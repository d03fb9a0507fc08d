"""The NumPy engine: vectorised layers with their gradients, in whatever float type the numbers have."""

from host.nn.numpy.loss import cross_entropy, distillation, softmax
from host.nn.numpy.sequential import Observer, Sequential, Training, observe

__all__ = ["Observer", "Sequential", "Training", "cross_entropy", "distillation", "observe", "softmax"]
