"""Small architectures that together use every layer and every way through it."""

from host.nn.layers import (
    Architecture,
    AveragePool2d,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    MaxPool2d,
    ReLU,
)

NETS = {
    "dense": Architecture((1, 3, 4), (Flatten(), Dense(6), ReLU(), Dense(3))),
    "convolution of one channel": Architecture((1, 7, 6), (Conv2d(3, 3), Flatten(), Dense(4))),
    "convolution after convolution": Architecture((1, 9, 8), (Conv2d(6, 3), ReLU(), Conv2d(5, 3), Flatten(), Dense(4))),
    "padding": Architecture((2, 6, 7), (Conv2d(6, 3, padding=1), Conv2d(3, 5, padding=2), Flatten(), Dense(4))),
    "stride": Architecture((2, 9, 8), (Conv2d(4, 3, stride=2, padding=1), Conv2d(3, 2, stride=2), Flatten(), Dense(3))),
    "depthwise and pointwise": Architecture(
        (2, 7, 7), (Conv2d(6, 3, padding=1), Conv2d(6, 3, groups=6), Conv2d(4, 1), ReLU(), Flatten(), Dense(3))
    ),
    "groups": Architecture((2, 7, 7), (Conv2d(12, 3), Conv2d(4, 3, padding=1, groups=2), Flatten(), Dense(3))),
    "max-pool with a rest": Architecture((1, 9, 7), (Conv2d(3, 2), MaxPool2d(2), Conv2d(2, 2), Flatten(), Dense(3))),
    "overlapping max-pool": Architecture(
        (1, 10, 9), (MaxPool2d(2, 1), Conv2d(3, 2), ReLU(), MaxPool2d(3, 2), MaxPool2d(1, 2), Flatten(), Dense(3))
    ),
    "oblong": Architecture(
        (2, 9, 8),
        (
            *(Conv2d(6, (3, 2), padding=(1, 0, 2, 1)), ReLU(), MaxPool2d((1, 2), (1, 2)), Conv2d(4, (2, 3), (2, 1))),
            *(ReLU(), AveragePool2d((2, 1)), Flatten(), Dense(3)),
        ),
    ),
    "rows of another width": Architecture(
        (9, 8, 7), (Conv2d(3, (2, 3), padding=(1, 1, 0, 1)), Conv2d(6, (3, 6), padding=(2, 1)), Flatten(), Dense(3))
    ),
    "limited": Architecture(
        (1, 8, 7), (Conv2d(4, 3), ReLU(0.7), MaxPool2d(), Flatten(), Dense(6), ReLU(0.4), Dense(3))
    ),
    "average-pool": Architecture((1, 9, 10), (Conv2d(3, 2), AveragePool2d(3), Flatten(), Dense(3))),
    "normalised": Architecture(
        (1, 8, 8),
        (Conv2d(6, 3), BatchNorm(), ReLU(), MaxPool2d(), Flatten(), Dense(5), BatchNorm(0.3), ReLU(), Dense(3)),
    ),
}

WITH_DROPOUT = Architecture(
    (1, 6, 6), (Conv2d(4, 3), ReLU(), Dropout(0.4), Flatten(), Dense(8), Dropout(0.2), Dense(3))
)
