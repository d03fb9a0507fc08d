"""Both engines compute the same."""

import itertools

import numpy as np
import pytest
from needed import need_module
from networks import NETS

from host.errors import InputError, ToolMissing
from host.nn import numpy as layers
from host.nn.network import Scaling
from host.nn.parameters import initial, slots
from host.train.batches import EpochBatches, SoftTargets, batches
from host.train.engines.numpy_engine import NumpyEngine
from host.train.optimisers import Adam, Sgd

torch = need_module("torch", "pip install torch")
maker = need_module("host.train.engines.torch_engine", "pip install torch").maker

IMAGES = 40


def given(architecture, *, batch=20, soft=False, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (IMAGES, *architecture.input_shape[1:]), np.uint8)
    targets = np.eye(architecture.classes, dtype=np.float32)[rng.integers(0, architecture.classes, IMAGES)]
    opinion = rng.dirichlet(np.ones(architecture.classes), IMAGES).astype(np.float32)
    taught = SoftTargets(opinion, 3.0, 0.2) if soft else None
    return EpochBatches(images, targets, batches(IMAGES, batch, seed, 0), taught)


BEFORE_NORMALISATION = {"convolution after convolution": (), "normalised": (0, 5)}
ONE_CHANNEL = [name for name, architecture in NETS.items() if architecture.input_shape[0] == 1]


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("name", ONE_CHANNEL)
def test_gradients_agree(name, soft):
    architecture = NETS[name]
    task = given(architecture, soft=soft)
    parameters = initial(architecture, 3)
    theirs = maker("cpu")(parameters, Scaling(), Sgd(), 0).gradients(task)
    gradients = parameters.zeros()
    rows = task.batches[0]
    net = layers.Sequential(parameters, len(rows), layers.Training(gradients, np.random.default_rng(0)))
    scores = net.forward(Scaling().apply(task.codes[rows]))
    if soft:
        gradient = layers.distillation(scores, task.targets[rows].T, task.soft.probabilities[rows].T, 3.0, 0.2)[1]
    else:
        gradient = layers.cross_entropy(scores, task.targets[rows].T)[1]
    net.backward(gradient / len(rows))
    np.testing.assert_allclose(gradients.flat, theirs, atol=2e-6 * np.abs(theirs).max() + 1e-7)


@pytest.mark.parametrize(
    "rules", [Sgd(), Sgd(0.9, 0.01), Adam(), Adam(0.9, 0.99, 1e-8, 0.02), Adam(0.95, 0.99, 1e-7, as_seed_001=True)]
)
@pytest.mark.parametrize("name", ["convolution after convolution", "normalised"])
def test_one_epoch_ends_at_the_same_numbers(name, rules):
    task = given(NETS[name], batch=8)
    ours, theirs = initial(NETS[name], 3), initial(NETS[name], 3)
    results = []
    for engine in (NumpyEngine(ours, Scaling(), rules, 0), maker("cpu")(theirs, Scaling(), rules, 0)):
        results.append(engine.epoch(task, 0, lambda index: 0.001, lambda index, loss: None))
    np.testing.assert_allclose(results[0].losses, results[1].losses, rtol=1e-4)
    # A bias before a normalisation changes nothing: its gradient is rounding alone, which Adam makes as large as any.
    for slot in slots(NETS[name]):
        if slot.trained and not (slot.name == "bias" and slot.layer in BEFORE_NORMALISATION[name]):
            np.testing.assert_allclose(ours.flat[slot.part], theirs.flat[slot.part], atol=2e-5, err_msg=str(slot))
    # The running means follow those biases, which five steps of 0.001 can move by 0.005.
    np.testing.assert_allclose(ours.measured, theirs.measured, rtol=1e-4, atol=0.005)
    assert results[0].images == results[1].images == IMAGES


def test_an_unusable_device_is_named():
    with pytest.raises(InputError, match="train: device: found 'nowhere', need"):
        maker("nowhere")


def test_a_device_that_is_not_there_is_a_missing_tool():
    if torch.cuda.is_available():
        assert maker("cuda") is not None
        return
    with pytest.raises(ToolMissing, match=r"train: device: found no cuda .*, need it for --device cuda; install"):
        maker("cuda")


def test_parameters_can_be_had_after_every_batch():
    parameters = initial(NETS["normalised"], 1)
    engine = maker("cpu")(parameters, Scaling(), Sgd(), 0)
    task = given(NETS["normalised"], batch=10)
    seen = []

    def tick(index, loss):
        engine.refresh()
        seen.append((parameters.flat.copy(), parameters.measured.copy()))

    engine.epoch(task, 0, lambda index: 0.1, tick)
    assert len(seen) == 4
    for earlier, later in itertools.pairwise(seen):
        assert (earlier[0] != later[0]).any() and (earlier[1] != later[1]).any()
    np.testing.assert_array_equal(seen[-1][0], parameters.flat)
