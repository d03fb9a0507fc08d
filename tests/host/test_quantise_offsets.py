"""What is subtracted from the first trained layer's inputs, behind fixed layers and before any kind of layer."""

import numpy as np
import pytest
from networks import drawn_images, network_of

from host.errors import InputError
from host.nn.formats import WeightFormat
from host.nn.layers import AveragePool2d, Conv2d, Dense, FixedConv2d, Flatten, MaxPool2d, ReLU, preconv_layers
from host.nn.network import float_scores
from host.nn.scaling import Scaling
from host.quantise.lower import lower
from host.quantise.reference import infer

LAPLACE = ((0, -1, 0), (-1, 4, -1), (0, -1, 0))
BLUR = ((1, 2, 1), (2, 4, 2))


@pytest.mark.parametrize("fmt", [WeightFormat.FLOAT32, WeightFormat.INT8])
@pytest.mark.parametrize("offset", [0, 90])
@pytest.mark.parametrize("kernel", [LAPLACE, BLUR])
@pytest.mark.parametrize("behind", [(ReLU(),), (MaxPool2d(2), ReLU()), (ReLU(), Conv2d(4, 3, padding=1), ReLU())])
def test_it_is_subtracted_from_what_a_fixed_kernel_makes(behind, kernel, offset, fmt):
    layers = (FixedConv2d(kernel, padding=1), *behind, Flatten(), Dense(12), ReLU())
    network, images = network_of(layers, scaling=Scaling(offset, 500.0)), drawn_images(40, seed=6)
    exact, graph = float_scores(network, images), lower(network, fmt)
    found = infer(graph, images).scores * graph.score_step
    assert np.abs(exact - found).max() < (1e-4 if fmt is WeightFormat.FLOAT32 else 0.1) * np.abs(exact).max()


@pytest.mark.parametrize(
    ("layers", "inputs", "name"),
    [
        ((Conv2d(3, 3), ReLU(), Flatten()), 256, "Conv2d"),
        ((FixedConv2d(LAPLACE), ReLU(), Flatten()), 196, "FixedConv2d"),
        ((MaxPool2d(), Flatten()), 256, "MaxPool2d"),
        ((AveragePool2d(), Flatten()), 256, "AveragePool2d"),
        ((*preconv_layers(255), Conv2d(3, 3), ReLU(), Flatten()), 64, "Conv2d"),
        ((*preconv_layers(63), MaxPool2d(2, 1), Flatten()), 64, "MaxPool2d"),
    ],
)
def test_one_for_each_input_is_for_a_dense_layer_alone(layers, inputs, name):
    network = network_of(layers, scaling=Scaling(np.arange(inputs).astype(np.int16), 255.0))
    for fmt in (WeightFormat.FLOAT32, WeightFormat.INT8):
        with pytest.raises(InputError, match=f"layer [0-3]: found {name} over inputs with an offset each, need one"):
            lower(network, fmt)
