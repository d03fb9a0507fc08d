"""The network of seed 000 while it is trained: dense – ReLU – dense – softmax, its loss and analytic gradient.

All parameters lie in one flat vector with W1, b1, W2, b2 as views into it, so that an optimiser sees a vector and the
mathematics sees matrices. Works in whatever float type the vector has. Knows no data set and no optimiser.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NARROW_TOP = 63  # activations of 6 bits


@dataclass(frozen=True, eq=False)
class TwoLayer:
    """Views into one flat vector; the same class holds parameters and gradients."""

    flat: NDArray[Any]  # (D·H + H + H·C + C,)
    w1: NDArray[Any]  # (D, H)
    b1: NDArray[Any]  # (H,)
    w2: NDArray[Any]  # (H, C)
    b2: NDArray[Any]  # (C,)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(inputs, hidden, classes)."""
        return self.w1.shape[0], self.w1.shape[1], len(self.b2)


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows to learn from. The targets are probabilities: one-hot, smoothed, or mixed with another net's."""

    x: NDArray[Any]  # (N, D)
    targets: NDArray[Any]  # (N, C)
    labels: NDArray[np.int64]  # (N,), to count what is right

    def part(self, start: int, stop: int) -> "Batch":
        """Return rows start..stop, or fewer at the end."""
        return Batch(self.x[start:stop], self.targets[start:stop], self.labels[start:stop])


def size(inputs: int, hidden: int, classes: int) -> int:
    """Return the number of parameters."""
    return inputs * hidden + hidden + hidden * classes + classes


def view(flat: NDArray[Any], inputs: int, hidden: int, classes: int) -> TwoLayer:
    """Wrap a flat vector of `size(...)` elements without copying it."""
    w1, b1, w2, b2 = np.split(flat, np.cumsum([inputs * hidden, hidden, hidden * classes]))
    return TwoLayer(flat, w1.reshape(inputs, hidden), b1, w2.reshape(hidden, classes), b2)


def random_normal(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    deviations: tuple[float, float],
    dtype: type[np.floating[Any]],
) -> TwoLayer:
    """Return a net of (inputs, hidden, classes) with W1 and W2 normal of the given deviations and biases zero."""
    net = view(np.zeros(size(*shape), dtype), *shape)
    net.w1[:] = rng.normal(0, deviations[0], net.w1.shape)
    net.w2[:] = rng.normal(0, deviations[1], net.w2.shape)
    return net


def loss_and_gradient(
    net: TwoLayer, batch: Batch, reg: float, gradient: TwoLayer, activation_step: float = 0.0
) -> tuple[float, int]:
    """Overwrite `gradient` with that of the loss; return the loss and how many rows score highest at their label.

    The loss is the mean cross-entropy of the softmax plus reg · (ΣW1² + ΣW2²); biases are not regularised.
    With an `activation_step` hidden activations are rounded to 0..63 times it, which the gradient does not see.
    """
    x, targets = batch.x, batch.targets
    hidden = x @ net.w1
    hidden += net.b1
    active = hidden > 0
    np.maximum(hidden, 0, out=hidden)
    if activation_step:
        hidden /= hidden.dtype.type(activation_step)
        np.minimum(np.rint(hidden, out=hidden), NARROW_TOP, out=hidden)
        hidden *= hidden.dtype.type(activation_step)
    scores = hidden @ net.w2
    scores += net.b2
    # From here `scores` becomes exp, then the softmax, then its gradient, in place.
    scores -= scores.max(axis=1, keepdims=True)
    right = int(np.count_nonzero(scores[np.arange(len(x)), batch.labels] == 0))  # faster than argmax on short rows
    agreement = float(np.vdot(targets, scores))
    np.exp(scores, out=scores)
    total = scores.sum(axis=1, keepdims=True)
    loss = (float(np.log(total).sum()) - agreement) / len(x)
    scores /= total
    scores -= targets
    scores /= len(x)
    np.matmul(hidden.T, scores, out=gradient.w2)
    scores.sum(axis=0, out=gradient.b2)
    back = scores @ net.w2.T
    back *= active
    np.matmul(x.T, back, out=gradient.w1)
    back.sum(axis=0, out=gradient.b1)
    if reg:
        loss += reg * (float(np.vdot(net.w1, net.w1)) + float(np.vdot(net.w2, net.w2)))
        gradient.w1[:] += (2 * reg) * net.w1
        gradient.w2[:] += (2 * reg) * net.w2
    return loss, right


def target_rows(
    labels: NDArray[np.int64], classes: int, smoothing: float, dtype: type[np.floating[Any]]
) -> NDArray[Any]:
    """Return (N, C) probabilities: 1 − smoothing at the label and smoothing / C spread over all classes.

    Label smoothing: Szegedy et al., "Rethinking the Inception architecture for computer vision", CVPR 2016.
    """
    table = np.eye(classes) * (1 - smoothing) + smoothing / classes
    rows: NDArray[Any] = table.astype(dtype)[labels]
    return rows


def soft_rows(net: TwoLayer, x: NDArray[Any], temperature: float) -> NDArray[Any]:
    """Return the softmax of scores / temperature (N, C) for x (N, D)."""
    scores: NDArray[Any] = np.maximum(x @ net.w1 + net.b1, 0) @ net.w2 + net.b2
    scores /= temperature
    scores -= scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=1, keepdims=True)
    return scores
