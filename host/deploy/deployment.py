"""Both families of nets, pre-convolved and learned, behind one set of functions: what commands and links work with.

Each function hands its arguments to the family's own modules; nothing is decided here.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from host.compile.boards import Board
from host.data import Split
from host.deploy import budget as budgets
from host.deploy import choose as choices
from host.deploy import learned_choose
from host.deploy import quantise as preconv
from host.deploy.budget import Budget
from host.deploy.calibrate import calibrate as calibrate_preconv
from host.deploy.calibrate import preferred_levels
from host.deploy.learned_calibrate import calibrate_learned
from host.deploy.learned_nets import LearnedNet
from host.deploy.learned_plan import LearnedPlan, plan_learned
from host.deploy.learned_quantise import quantise_learned
from host.deploy.learned_reference import infer_learned
from host.deploy.nets import DeployedNet
from host.deploy.old_networks import is_known, is_learned
from host.deploy.plan import Plan, plan
from host.deploy.reference import Predictions
from host.deploy.reference import infer as infer_preconv
from host.errors import InputError
from host.nn import network as networks
from host.nn.network import Network
from host.quantise.numerics import WeightFormat

AnyNetwork: TypeAlias = Network
AnyNet: TypeAlias = DeployedNet | LearnedNet
AnyPlan: TypeAlias = Plan | LearnedPlan


def image_shape(network: AnyNetwork) -> tuple[int, int]:
    """Height and width of the images that `network` takes."""
    return network.image_shape


def float_scores(network: AnyNetwork, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the trained float network says: (N, classes) for u8 images (N, H, W)."""
    return networks.float_scores(network, images)


def float_bytes(network: AnyNetwork) -> int:
    """What all weights and biases of the trained float network take, in bytes."""
    return 4 * int(network.parameters.flat.size)


def formats(network: AnyNetwork) -> tuple[WeightFormat, ...]:
    """The formats in which `network` can be put on a board."""
    return learned_choose.FORMATS if is_learned(network) else preconv.FORMATS


def check_format(network: AnyNetwork, fmt: WeightFormat, per_tensor: bool = False) -> None:
    """Raise InputError where `network` has no such format, or no choice of steps."""
    if is_learned(network):
        learned_choose.check_format(fmt)
        return
    preconv.check_format(fmt)
    if per_tensor:
        raise InputError("per-tensor: found a pre-convolved net, which has no other steps; leave --per-tensor out")


def rounding(net: AnyNet) -> str | None:
    """How the weights of a net of learned kernels came about; None for a pre-convolved net, which knows one way."""
    return net.rounding if isinstance(net, LearnedNet) else None


def plain_plan(
    network: AnyNetwork, fmt: WeightFormat, *, per_tensor: bool = False, post_training: bool = False
) -> AnyPlan:
    """The portable plan, for no board in particular, with the activations that an export takes by default; see
    quantise_learned."""
    check_format(network, fmt, per_tensor)
    if is_learned(network):
        return plan_learned(quantise_learned(network, fmt, per_tensor=per_tensor, post_training=post_training))
    return plan(preconv.quantise(network, fmt, levels=preferred_levels(network)))


def infer(net: AnyNet, images: NDArray[np.uint8]) -> Predictions:
    """The oracle: what a board must answer for u8 images (N, H, W)."""
    return infer_learned(net, images) if isinstance(net, LearnedNet) else infer_preconv(net, images)


def calibrate(network: AnyNetwork, train: Split) -> AnyNetwork:
    """`network` with what an export wants to know and only data can tell, measured on the training images."""
    if is_learned(network):
        return calibrate_learned(network, train)
    return calibrate_preconv(network, train) if is_known(network) else network


def choose(
    network: AnyNetwork,
    fmt: WeightFormat,
    board: Board,
    kernel: str = choices.AUTO,
    bits: int | None = None,
    *,
    per_tensor: bool = False,
) -> AnyPlan:
    """The plan for `board`; see choose.choose and quantise_learned. It may still not fit: see check_fit."""
    check_format(network, fmt, per_tensor)
    if is_learned(network):
        return learned_choose.choose(network, fmt, board, kernel, bits, per_tensor=per_tensor)
    return choices.choose(network, fmt, board, kernel, bits)


def all_plans(network: AnyNetwork, fmt: WeightFormat) -> list[AnyPlan]:
    """Every plan that an export of `network` in `fmt` could have made: a board may carry any of them."""
    if is_learned(network):
        return list(learned_choose.all_plans(network, fmt))
    return list(choices.all_plans(network, fmt))


def check_fit(network: AnyNetwork, planned: AnyPlan, board: Board) -> Budget:
    """What `planned` costs; raise FitError, naming the bytes and what would fit, where `board` is too small."""
    if is_learned(network):
        assert isinstance(planned, LearnedPlan)
        return learned_choose.check_fit(network, planned, board)
    assert isinstance(planned, Plan)
    return budgets.check_fit(network, planned, board)
