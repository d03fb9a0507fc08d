"""Has emlearn convert network.npz of the current directory and predict with it; run by emlearn_peer.

network.npz holds coefs0, intercepts0, coefs1, … as scikit-learn's MLPClassifier keeps them, and features (N, inputs).
The directory gets emlearn_net.h and result.json: emlearn's version, its headers' folder, and its class for each row.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import emlearn
import numpy as np


def main() -> None:
    given = np.load("network.npz")
    layers = range(sum(name.startswith("coefs") for name in given.files))
    network = SimpleNamespace(
        n_layers_=len(layers) + 1,
        coefs_=[given[f"coefs{k}"] for k in layers],
        intercepts_=[given[f"intercepts{k}"] for k in layers],
        activation="relu",
        # A scikit-learn classifier says softmax here. It changes no class and is no part of the dense layers, so
        # emlearn is spared it.
        out_activation_="identity",
    )
    model = emlearn.convert(network, kind="MLPClassifier")
    model.save(file="emlearn_net.h", name="emlearn_net")
    classes = [int(value) for value in model.predict(given["features"])]
    result = {"version": emlearn.__version__, "include": emlearn.includedir, "classes": classes}
    Path("result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
