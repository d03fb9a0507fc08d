"""The optional engine: the same nets, first numbers, batches, losses and optimisers in torch, on a processor or a GPU.

Imported only when asked for. Dropout draws from torch's own generator, so nets with dropout see other masks than the
NumPy engine's; everything else agrees with it to float32's rounding.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from host.errors import InputError, ToolMissing
from host.nn import layers as spec
from host.nn.network import Scaling
from host.nn.parameters import Parameters, slots
from host.train.batches import EpochBatches, EpochResult, SoftTargets, Tick
from host.train.optimisers import Adam, OptimiserSpec, optimiser

NAME = "torch"
Arrays = dict[int, dict[str, Any]]


def maker(device: str) -> Callable[[Parameters, Scaling, OptimiserSpec, int], "TorchEngine"]:
    """Return what makes engines on a device ("cpu", "cuda", "cuda:1" …).

    Raises InputError for what is no device, ToolMissing for one that torch finds nothing for.
    """
    try:
        place = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"train: device: found '{device}', need cpu or cuda; use --device cpu") from error
    try:
        torch.zeros(1, device=place)
    except (RuntimeError, AssertionError) as error:
        found = str(error).strip().splitlines()[0].rstrip(".")
        advice = f"install a driver and `pip install 'digitduino[torch]'` with {device}, or use --device cpu"
        raise ToolMissing(
            f"train: device: found no {device} ({found}), need it for --device {device}; {advice}"
        ) from error
    return lambda parameters, scaling, optimiser_spec, seed: TorchEngine(
        parameters, scaling, optimiser_spec, seed, place
    )


class TorchEngine:
    """Trains `parameters`, which are copied to the device when an epoch starts and back when it ends."""

    def __init__(
        self, parameters: Parameters, scaling: Scaling, optimiser_spec: OptimiserSpec, seed: int, device: torch.device
    ) -> None:
        self.parameters, self._scaling, self._spec, self._seed = parameters, scaling, optimiser_spec, seed
        self._device = device
        self._flat = torch.zeros(len(parameters.flat), device=device)
        self._measured = torch.zeros(len(parameters.measured), device=device)
        self._gradient = torch.zeros_like(self._flat)
        self._decays = torch.from_numpy(parameters.decays.astype(np.float32)).to(device)
        self.moments = optimiser(optimiser_spec, parameters.flat, parameters.decays).moments
        self._moments = {name: torch.zeros_like(self._flat) for name in self.moments}
        self._arrays = self._leaves()
        architecture = parameters.architecture
        self._start, self._shape = architecture.fixed, architecture.shapes[architecture.fixed]
        offset = scaling.offset.reshape(self._shape) if isinstance(scaling.offset, np.ndarray) else scaling.offset
        self._offset = torch.as_tensor(np.asarray(offset, np.float32), device=device)

    def epoch(self, given: EpochBatches, epoch: int, rate: Callable[[int], float], tick: Tick) -> EpochResult:
        """Train for one epoch, counted from 0; `rate` gives the rate of a batch of the epoch, from 0."""
        self._exchange(to_device=True)
        generator = torch.Generator(self._device).manual_seed(self._seed * 1_000_003 + epoch)
        codes, targets, right = (self._tensor(each) for each in (self._maps(given.codes), given.targets, given.right))
        taught = None if given.soft is None else self._tensor(given.soft.probabilities)
        first_step, hits, losses = epoch * len(given.batches) + 1, 0, []
        for index, batch in enumerate(given.batches):
            rows = self._tensor(batch)
            scores = self.forward(codes[rows], generator)
            opinion = None if taught is None else taught[rows]
            loss = _loss(scores, targets[rows], opinion, given.soft)
            self._gradient.zero_()
            torch.autograd.backward(loss)
            with torch.no_grad():
                self._update(rate(index), first_step + index)
            hits += int((scores.argmax(1) == right[rows]).sum())
            losses.append(float(loss.detach()))
            tick(index, losses[-1])
        self._exchange(to_device=False)
        return EpochResult(np.array(losses), hits, sum(map(len, given.batches)))

    def refresh(self) -> None:
        """Copy the parameters from the device in the middle of an epoch."""
        self.parameters.flat[...] = self._flat.detach().cpu().numpy()
        self.parameters.measured[...] = self._measured.cpu().numpy()

    def forward(self, codes: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return scores (N, classes) for codes (N, C, H, W), as in training."""
        x = (codes.to(torch.float32) - self._offset) * (1 / self._scaling.divisor)
        layers = self.parameters.architecture.layers
        for index, layer in enumerate(layers[self._start :], self._start):
            x = _apply(layer, self._arrays.get(index, {}), x, generator)
        return x

    def gradients(self, given: EpochBatches) -> NDArray[np.float32]:
        """Return the gradients of the first batch of a given in the parameters' layout, changing no parameter."""
        self._exchange(to_device=True)
        rows, generator = self._tensor(given.batches[0]), torch.Generator(self._device).manual_seed(self._seed)
        taught = None if given.soft is None else self._tensor(given.soft.probabilities)[rows]
        scores = self.forward(self._tensor(self._maps(given.codes))[rows], generator)
        self._gradient.zero_()
        torch.autograd.backward(_loss(scores, self._tensor(given.targets)[rows], taught, given.soft))
        found: NDArray[np.float32] = self._gradient.cpu().numpy().copy()
        return found

    def _leaves(self) -> Arrays:
        """Return tensors over the flat vectors; autograd adds into the flat gradient through their `grad`."""
        arrays: Arrays = {}
        for slot in slots(self.parameters.architecture):
            vector = self._flat if slot.trained else self._measured
            leaf = vector[slot.part].view(slot.shape)
            if slot.trained:
                leaf.requires_grad_()
                leaf.grad = self._gradient[slot.part].view(slot.shape)
            arrays.setdefault(slot.layer, {})[slot.name] = leaf
        return arrays

    def _exchange(self, *, to_device: bool) -> None:
        pairs = [(self.parameters.flat, self._flat), (self.parameters.measured, self._measured)]
        pairs += [(self.moments[name], tensor) for name, tensor in self._moments.items()]
        with torch.no_grad():
            for array, tensor in pairs:
                if to_device:
                    tensor.copy_(torch.from_numpy(array))
                else:
                    array[...] = tensor.cpu().numpy()

    def _maps(self, codes: NDArray[Any]) -> NDArray[Any]:
        return codes.reshape(len(codes), *self._shape)

    def _tensor(self, array: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(np.array(array)).to(self._device)

    def _update(self, rate: float, step: int) -> None:
        """The formulas of host.train.optimisers."""
        gradient, rules = self._gradient, self._spec
        if rules.reg:
            gradient.addcmul_(self._decays, self._flat, value=2 * rules.reg)
        if rules.decay:
            self._flat -= self._flat * self._decays * (rate * rules.decay)
        if not isinstance(rules, Adam):
            if rules.momentum:
                gradient = self._moments["velocity"].mul_(rules.momentum).add_(gradient)
            self._flat.sub_(gradient, alpha=rate)
            return
        mean = self._moments["mean"].mul_(rules.beta1).add_(gradient, alpha=1 - rules.beta1)
        square = self._moments["square"].mul_(rules.beta2).addcmul_(gradient, gradient, value=1 - rules.beta2)
        if rules.as_seed_001:
            self._flat.addcdiv_(mean, (square + rules.epsilon).sqrt_(), value=-rate)
            return
        correction = math.sqrt(1 - rules.beta2**step)
        root = square.sqrt().add_(rules.epsilon * correction)
        self._flat.addcdiv_(mean, root, value=-rate * correction / (1 - rules.beta1**step))


def _loss(
    scores: torch.Tensor, targets: torch.Tensor, taught: torch.Tensor | None, soft: SoftTargets | None
) -> torch.Tensor:
    """Return the mean over the batch of what host.nn.numpy.loss sums up."""
    loss = -(targets * functional.log_softmax(scores, 1)).sum(1).mean()
    if taught is None or soft is None:
        return loss
    hot = functional.log_softmax(scores / soft.temperature, 1)
    divergence = (taught * (taught.clamp_min(1e-12).log() - hot)).sum(1).mean()
    return soft.hard * loss + (1 - soft.hard) * soft.temperature**2 * divergence


def _apply(layer: spec.LayerSpec, arrays: dict[str, Any], x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    if isinstance(layer, spec.Conv2d):
        top, left, bottom, right = layer.pads
        padded = functional.pad(x, (left, right, top, bottom)) if (top, left) != (bottom, right) else x
        padding = (top, left) if padded is x else (0, 0)
        weights, bias = arrays["weights"], arrays["bias"]
        maps: torch.Tensor = functional.conv2d(padded, weights, bias, layer.strides, padding, groups=layer.groups)
        return maps
    if isinstance(layer, spec.Dense):
        return functional.linear(x, arrays["weights"], arrays["bias"])
    if isinstance(layer, spec.BatchNorm):
        running = (arrays["mean"], arrays["variance"], arrays["scale"], arrays["shift"])
        return functional.batch_norm(x, *running, training=True, momentum=layer.momentum, eps=layer.epsilon)
    if isinstance(layer, spec.Dropout):
        kept = torch.rand(x.shape, generator=generator, device=x.device) >= layer.share
        return x * kept / (1 - layer.share)
    if isinstance(layer, spec.MaxPool2d):
        return functional.max_pool2d(x, layer.window, layer.strides)
    if isinstance(layer, spec.AveragePool2d):
        return functional.avg_pool2d(x, layer.window)
    if isinstance(layer, spec.ReLU):
        # At both ends no gradient, as in the NumPy layer; clamp would let it through.
        return functional.relu(x) if layer.limit is None else functional.hardtanh(x, 0.0, layer.limit)
    return x.flatten(1)
