"""Small nets with numbers trained for a format: what training would hand over, made without training."""

from dataclasses import replace

from learned_networks import drawn_images, learned_network

from host.nn.formats import WEIGHT_TOPS
from host.train.qat import scales
from host.train.qat.freeze import freeze
from host.train.qat.train import output_tops


def tuned_network(layers, *formats, **options):
    """The net of `learned_network`, tuned for `formats` from where training starts."""
    network = learned_network(layers, **options)
    parameters = network.parameters
    tops = output_tops(parameters, network.scaling, drawn_images(40, seed=6))
    tuned = [
        freeze(fmt, parameters, scales.start(parameters, WEIGHT_TOPS[fmt], 255, tops, 1 / network.scaling.divisor))
        for fmt in formats or WEIGHT_TOPS
    ]
    return replace(network, qat=tuple(tuned))
