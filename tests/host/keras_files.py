"""Files as Keras writes them, and what Keras computes of their layers: for tests that shall not need Keras.

A net is a list of layers (class, settings, arrays by name) over images (N, rows, columns, channels).
"""

from __future__ import annotations

import io
import json
import zipfile

import h5py
import numpy as np

AS_DICTIONARIES = {"module": "keras.layers", "registered_name": None}


def input_layer(*shape, version=3):
    key = "batch_shape" if version == 3 else "batch_input_shape"
    return ("InputLayer", {key: [None, *shape], "dtype": "float32"}, {})


def conv(rng, inputs, outputs, kernel, *, groups=1, bias=True, **settings):
    arrays = {"kernel": rng.normal(0, 0.4, (*kernel, inputs // groups, outputs))}
    arrays |= {"bias": rng.normal(0, 0.4, outputs)} if bias else {}
    kind = "Conv2D" if len(kernel) == 2 else "Conv1D"
    made = {"filters": outputs, "kernel_size": list(kernel), "groups": groups, "use_bias": bias}
    return (kind, made | settings, arrays)


def depthwise(rng, inputs, each, kernel, **settings):
    arrays = {"kernel": rng.normal(0, 0.4, (*kernel, inputs, each)), "bias": rng.normal(0, 0.4, inputs * each)}
    return ("DepthwiseConv2D", {"kernel_size": list(kernel), "depth_multiplier": each, **settings}, arrays)


def separable(rng, inputs, outputs, kernel, **settings):
    arrays = {
        "depthwise_kernel": rng.normal(0, 0.4, (*kernel, inputs, 1)),
        "pointwise_kernel": rng.normal(0, 0.4, (1, 1, inputs, outputs)),
        "bias": rng.normal(0, 0.4, outputs),
    }
    return ("SeparableConv2D", {"filters": outputs, "kernel_size": list(kernel), **settings}, arrays)


def dense(rng, inputs, units, activation="linear", bias=True):
    arrays = {"kernel": rng.normal(0, 1 / inputs**0.5, (inputs, units))}
    arrays |= {"bias": rng.normal(0, 0.4, units)} if bias else {}
    return ("Dense", {"units": units, "activation": activation, "use_bias": bias}, arrays)


def batch_norm(rng, channels, **settings):
    arrays = {} if not settings.get("scale", True) else {"gamma": rng.uniform(0.5, 1.5, channels)}
    arrays |= {} if not settings.get("center", True) else {"beta": rng.normal(0, 0.4, channels)}
    arrays |= {"moving_mean": rng.normal(0, 0.4, channels), "moving_variance": rng.uniform(0.5, 2, channels)}
    return ("BatchNormalization", {"axis": -1, "epsilon": 1e-3, **settings}, arrays)


def pool(kind, size, **settings):
    return (kind, {"pool_size": list(size), "strides": list(size), "padding": "valid", **settings}, {})


def named(layers):
    """With the names that Keras gives: class and number, from 0 in silence."""
    counts = {}
    for kind, settings, arrays in layers:
        number = counts[kind] = counts.get(kind, -1) + 1
        name = _SNAKE.get(kind, kind.lower()) + (f"_{number}" if number else "")
        yield kind, {"name": name, "trainable": True, **settings}, arrays


def described(layers, functional=False, version=3):
    """The JSON of a Sequential net, or of a Functional one."""
    found, before = [], None
    for kind, settings, _ in named(layers):
        one = {"class_name": kind, "config": settings} | (AS_DICTIONARIES if version == 3 else {})
        if functional:
            history = {"class_name": "__keras_tensor__", "config": {"keras_history": [before, 0, 0]}}
            nodes = [{"args": [history], "kwargs": {}}] if version == 3 else [[[before, 0, 0, {}]]]
            one |= {"name": settings["name"], "inbound_nodes": nodes if before else []}
        before = settings["name"]
        found.append(one)
    return {"class_name": "Functional" if functional else "Sequential", "config": {"name": "net", "layers": found}}


def write_h5(path, layers, *, functional=False, version=3, config=None):
    ending, prefix = (":0", "") if version == 2 else ("", "net/")
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "3.5.0" if version == 3 else "2.4.0"
        file.attrs["model_config"] = json.dumps(config or described(layers, functional, version))
        group = file.create_group("model_weights")
        for kind, settings, arrays in named(layers):
            layer = group.create_group(settings["name"])
            older = version == 2 and kind == "DepthwiseConv2D"
            names = {("depthwise_kernel" if older and key == "kernel" else key): value for key, value in arrays.items()}
            layer.attrs["weight_names"] = [f"{prefix}{settings['name']}/{key}{ending}" for key in names]
            for key, value in names.items():
                layer.create_dataset(f"{prefix}{settings['name']}/{key}{ending}", data=value.astype(np.float32))


def write_keras(path, layers, *, functional=False, config=None, folder="layers"):
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        for _, settings, arrays in named(layers):
            group = file.create_group(f"{folder}/{settings['name']}/vars")
            for number, value in enumerate(arrays.values()):
                group.create_dataset(str(number), data=value.astype(np.float32))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.5.0"}))
        archive.writestr("config.json", json.dumps(config or described(layers, functional)))
        archive.writestr("model.weights.h5", memory.getvalue())


def answers(layers, x):
    """What Keras computes of inputs (N, …), in float64."""
    x = np.asarray(x, np.float64)
    for kind, settings, arrays in layers:
        x = _activated(_COMPUTE[kind](x, settings, arrays), settings.get("activation", "linear"))
    return x


def _activated(x, name):
    if name == "softmax":
        powers = np.exp(x - x.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)
    return {
        "linear": lambda: x,
        "relu": lambda: np.maximum(x, 0),
        "relu6": lambda: np.clip(x, 0, 6),
        "sigmoid": lambda: 1 / (1 + np.exp(-x)),
    }[name]()


def _windows(x, kernel, strides, padding, fill=0.0):
    """(N, rows, columns, channels, kernel rows, kernel columns)."""
    edges = [(0, 0)]
    for side, size, step in zip(x.shape[1:3], kernel, strides, strict=True):
        total = max((-(-side // step) - 1) * step + size - side, 0) if padding == "same" else 0
        edges.append((total // 2, total - total // 2))
    padded = np.pad(x, [*edges, (0, 0)], constant_values=fill)
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(1, 2))
    return windows[:, :: strides[0], :: strides[1]]


def _convolved(x, settings, arrays):
    kernel = arrays["kernel"]
    strides, padding = settings.get("strides", [1, 1]), settings.get("padding", "valid")
    windows = _windows(x, kernel.shape[:2], strides, padding)
    groups = settings.get("groups", 1)
    share, outputs = kernel.shape[2], kernel.shape[3] // groups
    parts = [
        np.einsum(
            "nyxcij,ijco->nyxo",
            windows[:, :, :, at * share : (at + 1) * share],
            kernel[..., at * outputs : (at + 1) * outputs],
        )
        for at in range(groups)
    ]
    return np.concatenate(parts, axis=-1) + arrays.get("bias", 0.0)


def _in_a_row(x, settings, arrays):
    kernel = arrays["kernel"][None]
    if settings.get("padding") == "causal":
        x = np.pad(x, ((0, 0), (kernel.shape[1] - 1, 0), (0, 0)))
        settings = settings | {"padding": "valid"}
    strides = [1, *settings.get("strides", [1])]
    return _convolved(x[:, None], settings | {"strides": strides}, arrays | {"kernel": kernel})[:, 0]


def _depthwise(x, settings, arrays):
    kernel = arrays["kernel"]
    windows = _windows(x, kernel.shape[:2], settings.get("strides", [1, 1]), settings.get("padding", "valid"))
    found = np.einsum("nyxcij,ijcm->nyxcm", windows, kernel)
    return found.reshape(*found.shape[:3], -1) + arrays["bias"]


def _separable(x, settings, arrays):
    kernel = arrays["depthwise_kernel"]
    windows = _windows(x, kernel.shape[:2], settings.get("strides", [1, 1]), settings.get("padding", "valid"))
    found = np.einsum("nyxcij,ijcm->nyxcm", windows, kernel)
    return found.reshape(*found.shape[:3], -1) @ arrays["pointwise_kernel"][0, 0] + arrays["bias"]


def _pooled(rule):
    def compute(x, settings, arrays):
        row = x.ndim == 3
        size, strides = settings["pool_size"], settings["strides"]
        windows = _windows(x[:, None] if row else x, [1] * row + size, [1] * row + strides, "valid")
        found = rule(windows, axis=(-2, -1))
        return found[:, 0] if row else found

    return compute


def _normalised(x, settings, arrays):
    scaled = (x - arrays["moving_mean"]) / np.sqrt(arrays["moving_variance"] + settings["epsilon"])
    return scaled * arrays.get("gamma", 1.0) + arrays.get("beta", 0.0)


def _padded(x, settings, arrays):
    return np.pad(x, ((0, 0), *settings["padding"], (0, 0)))


_SNAKE = {
    "Conv2D": "conv2d",
    "DepthwiseConv2D": "depthwise_conv2d",
    "SeparableConv2D": "separable_conv2d",
    "BatchNormalization": "batch_normalization",
}
_COMPUTE = {
    "InputLayer": lambda x, settings, arrays: x,
    "Conv2D": _convolved,
    "Conv1D": _in_a_row,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "Dense": lambda x, settings, arrays: x @ arrays["kernel"] + arrays.get("bias", 0.0),
    "MaxPooling2D": _pooled(np.max),
    "MaxPooling1D": _pooled(np.max),
    "AveragePooling2D": _pooled(np.mean),
    "GlobalAveragePooling2D": lambda x, settings, arrays: x.mean(axis=(1, 2)),
    "GlobalAveragePooling1D": lambda x, settings, arrays: x.mean(axis=1),
    "GlobalMaxPooling2D": lambda x, settings, arrays: x.max(axis=(1, 2)),
    "BatchNormalization": _normalised,
    "Rescaling": lambda x, settings, arrays: x * settings["scale"] + settings["offset"],
    "ZeroPadding2D": _padded,
    "Flatten": lambda x, settings, arrays: x.reshape(len(x), -1),
    "Reshape": lambda x, settings, arrays: x.reshape(len(x), *settings["target_shape"]),
    "Dropout": lambda x, settings, arrays: x,
    "Activation": lambda x, settings, arrays: x,
    "ReLU": lambda x, settings, arrays: np.clip(x, 0, settings.get("max_value") or np.inf),
    "Softmax": lambda x, settings, arrays: _activated(x, "softmax"),
}
