"""Softmax cross-entropy against probabilities: one-hot, smoothed or a teacher's."""

import numpy as np

from host.nn.numpy.layer import Array


def softmax(scores: Array) -> Array:
    """Return probabilities for scores (classes, N)."""
    values: Array = np.exp(scores - scores.max(axis=0))
    values /= values.sum(axis=0)
    return values


def cross_entropy(scores: Array, targets: Array) -> tuple[float, Array]:
    """Return the sum over the batch of the cross-entropy, and its gradient at scores (classes, N).

    `targets` (classes, N) are probabilities that add up to one.
    """
    shifted = scores - scores.max(axis=0)
    gradient: Array = np.exp(shifted)
    total = gradient.sum(axis=0)
    loss = float(np.log(total).sum()) - float(np.vdot(targets, shifted))
    gradient /= total
    gradient -= targets
    return loss, gradient


def distillation(scores: Array, targets: Array, taught: Array, temperature: float, hard: float) -> tuple[float, Array]:
    """Like `cross_entropy`, with weight `hard`; the rest follows a teacher (Hinton, Vinyals, Dean: arXiv 1503.02531).

    `taught` (classes, N) is the softmax of the teacher's scores divided by `temperature`. The teacher's part is the
    Kullback-Leibler divergence times temperature², so that its gradient keeps its size at every temperature.
    """
    loss, gradient = cross_entropy(scores, targets)
    soft_loss, soft_gradient = cross_entropy(scores / temperature, taught)
    entropy = -float(np.sum(taught * np.log(np.maximum(taught, 1e-12))))
    gradient *= hard
    gradient += soft_gradient * ((1 - hard) * temperature)
    return hard * loss + (1 - hard) * temperature**2 * (soft_loss - entropy), gradient
