"""Times the NumPy engine against torch on the seeds' nets: same first numbers, same batches, same threads, same run.

The engines take turns, so that a busy moment hits both; the median over the turns counts. Without torch only the NumPy
engine is timed. A profile of where a NumPy step spends its time follows. Needs no data: timing depends on shapes alone.

    python tools/bench_numpy_vs_torch.py [--preset scratch-cnn ...] [--threads 1 2] [--rounds 5] [--steps 60]
"""

import argparse
import os
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from threadpoolctl import threadpool_info, threadpool_limits

from host.nn import numpy as layers
from host.nn.network import Scaling
from host.nn.parameters import initial
from host.train.batches import EpochBatches, batches
from host.train.engines.numpy_engine import NumpyEngine
from host.train.presets import PRESETS

SHAPE, CLASSES = (28, 28), 10


def make_batches(recipe, steps):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (steps * recipe.batch, *SHAPE), np.uint8)
    targets = np.eye(CLASSES, dtype=np.float32)[rng.integers(0, CLASSES, len(images))]
    return EpochBatches(images, targets, batches(len(images), recipe.batch, 0, 0))


def make_engines(recipe, threads, torch):
    architecture = recipe.architecture(SHAPE, CLASSES)
    engines = {"numpy": NumpyEngine(initial(architecture, 0), Scaling(), recipe.optimiser, 0, workers=threads)}
    if torch is not None:
        from host.train.engines.torch_engine import maker

        torch.set_num_threads(threads)
        engines["torch"] = maker("cpu")(initial(architecture, 0), Scaling(), recipe.optimiser, 0)
    return engines


def time_engines(recipe, engines, rounds, steps):
    """Return the milliseconds of a step for each engine and turn."""
    given, taken = make_batches(recipe, steps), {name: [] for name in engines}
    for turn in range(rounds + 1):
        for name, engine in engines.items():
            start = time.perf_counter()
            engine.epoch(given, turn, lambda index: 1e-4, lambda index, loss: None)
            if turn:  # the first only warms up
                taken[name].append((time.perf_counter() - start) / steps * 1e3)
    return taken


def show_times(preset, threads, taken):
    middle = {name: statistics.median(values) for name, values in taken.items()}
    text = ", ".join(
        f"{name} {middle[name]:.2f} ms ({min(taken[name]):.2f}..{max(taken[name]):.2f})" for name in middle
    )
    ratio = f"; numpy is {middle['torch'] / middle['numpy']:.2f} times as fast" if "torch" in middle else ""
    print(f"{preset}, {threads} thread{'s' * (threads > 1)}, a step: {text}{ratio}")


def show_profile(preset, recipe, size, repeats=200):
    """Print the median microseconds of each layer's passes in one thread, which gets `size` images of a batch."""
    architecture = recipe.architecture(SHAPE, CLASSES)
    parameters = initial(architecture, 0)
    net = layers.Sequential(parameters, size, layers.Training(parameters.zeros(), np.random.default_rng(0)))
    image = np.random.default_rng(0).random((1, *SHAPE, size), np.float32)
    targets = np.full((CLASSES, size), 1 / CLASSES, np.float32)
    spent = defaultdict(list)

    def measure(name, call, *arguments):
        start = time.thread_time_ns()
        result = call(*arguments)
        spent[name].append((time.thread_time_ns() - start) / 1e3)
        return result

    names = [f"{index} {type(layer).__name__}" for index, layer in enumerate(architecture.layers)]
    for _ in range(repeats):
        x = image
        for name, layer in zip(names, net.layers, strict=True):
            x = measure(f"{name} forward", layer.forward, x)
        _, gradient = measure("loss", layers.cross_entropy, x, targets)
        for name, layer in reversed(list(zip(names, net.layers, strict=True))):
            if gradient is not None:
                gradient = measure(f"{name} backward", layer.backward, gradient)
    middle = {name: statistics.median(values) for name, values in spent.items()}
    total = sum(middle.values())
    print(f"{preset}: processor time of one thread for {size} images, {total / 1e3:.2f} ms without the optimiser:")
    for name, value in sorted(middle.items(), key=lambda item: -item[1]):
        if value >= total / 100:
            print(f"  {value / total:4.0%} {value:7.0f} µs  {name}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", nargs="+", default=["scratch-cnn", "simple-cnn", "sequential-cnn"])
    parser.add_argument("--threads", nargs="+", type=int, choices=(1, 2), default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    options = parser.parse_args()
    try:
        import torch
    except ImportError:
        torch = None
        print("torch: found none, so NumPy is timed alone; `pip install torch` for the comparison")
    load = os.getloadavg()[0]
    if load > 0.5:
        print(
            f"load average {load:.1f}: torch's threads spin while they wait for a core, so 2-thread ratios mean nothing"
        )
    kernels = {f"{entry['internal_api']} {entry.get('architecture', '')}".strip() for entry in threadpool_info()}
    print(f"matrix products and threads by: {', '.join(sorted(kernels))}")
    for preset in options.preset:
        recipe = PRESETS[preset].recipe_for(SHAPE, 60_000)
        for threads in options.threads:
            show_times(
                preset,
                threads,
                time_engines(recipe, make_engines(recipe, threads, torch), options.rounds, options.steps),
            )
        with threadpool_limits(limits=1, user_api="blas"):
            show_profile(preset, recipe, recipe.batch // 2)


if __name__ == "__main__":
    main()
