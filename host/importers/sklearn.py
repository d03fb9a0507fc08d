"""scikit-learn: a fitted MLPClassifier, by itself or behind scalers in a Pipeline, from memory. Its files are pickles,
which are programs, and never opened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, StandardScaler
from sklearn.utils.validation import check_is_fitted

from host.errors import InputError
from host.importers.base import Options, refused, scaling_of, vector_shape
from host.importers.chain import Chain
from host.nn.network import Network

ENGINE = "scikit-learn"


def network_of(
    estimator: Any,
    *,
    labels: Sequence[str] | None = None,
    input_range: tuple[float, float] = (0.0, 1.0),
    shape: tuple[int, int] | None = None,
) -> Network:
    """Return the net of a fitted MLPClassifier, or of a Pipeline of scalers that ends in one.

    `labels` are by default the estimator's classes, `input_range` the features that pixels of 0 and 255 stand for,
    `shape` (height, width) of the images that its features are; by default one row,
    or the most square image of more features than a row has. Raises InputError for what no
    board computes.
    """
    steps = [step for _, step in estimator.steps] if isinstance(estimator, Pipeline) else [estimator]
    path = Path(type(steps[-1]).__name__)
    net = steps[-1]
    if not isinstance(net, MLPClassifier):
        raise refused(
            path, "estimator", path.name, "a MLPClassifier, or a Pipeline that ends in one", "fit one of these"
        )
    try:
        check_is_fitted(estimator)
    except NotFittedError as error:
        raise refused(path, "estimator", "one that is not fitted", "a fitted one", "call fit before") from error
    features = int(net.n_features_in_)  # a pipeline asks its first step, which may be a word
    options = Options(None, input_range, shape)
    chain = Chain(path, vector_shape(path, options, features), scaling_of(options))
    chain.flatten("input")
    with np.errstate(all="ignore"):
        for step in steps[:-1]:
            _scale(chain, step)
        _layers(chain, net)
        names = [str(each) for each in np.asarray(net.classes_).tolist()] if labels is None else labels
        content = b"".join(np.ascontiguousarray(each).tobytes() for each in (*net.coefs_, *net.intercepts_))
        return chain.finish(ENGINE, names, content)


def _scale(chain: Chain, step: Any) -> None:
    """Put in what a scaler does to each feature."""
    name = type(step).__name__
    if step is None or step == "passthrough":
        return
    if isinstance(step, StandardScaler):
        factor = np.ones(1) if step.scale_ is None else 1 / step.scale_
        mean = step.mean_ if step.with_mean else np.zeros(1)
        chain.affine(name, factor, -mean * factor)
    elif isinstance(step, MinMaxScaler) and not step.clip:
        chain.affine(name, step.scale_, step.min_)
    elif isinstance(step, MaxAbsScaler) and not getattr(step, "clip", False):
        chain.affine(name, 1 / step.scale_, np.zeros(1))
    else:
        raise _unknown(chain, name)


def _unknown(chain: Chain, name: str) -> InputError:
    need = "StandardScaler, MinMaxScaler or MaxAbsScaler without clip"
    return refused(chain.path, "pipeline", name, need, "transform the data before, and fit the net on that")


def _layers(chain: Chain, net: MLPClassifier) -> None:
    if net.activation not in ("relu", "identity"):
        do = "fit it with activation='relu'"
        raise refused(chain.path, "activation", net.activation, "relu, or identity", do)
    last = len(net.coefs_) - 1
    for index, (weights, bias) in enumerate(zip(net.coefs_, net.intercepts_, strict=True)):
        chain.dense(f"layer {index}", weights.T, bias)
        if index < last and net.activation == "relu":
            chain.relu(f"layer {index} relu")
    if net.out_activation_ == "logistic":
        chain.two_classes("logistic")
