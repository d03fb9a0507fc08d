"""From a network to the plan a board gets: activation bits and kernel, chosen where the user left them open."""

from __future__ import annotations

from host.compile.boards import Board
from host.data.problem import near
from host.deploy.budget import fits
from host.deploy.calibrate import preferred_levels
from host.deploy.old_networks import PreconvNetwork, preconv
from host.deploy.plan import KERNELS, Plan, plan
from host.deploy.quantise import LEVELS, check_format, quantise
from host.errors import InputError
from host.nn.network import Network
from host.quantise.numerics import WeightFormat

AUTO = "auto"
KERNEL_CHOICES = (AUTO, *KERNELS)
_FASTEST_FIRST = ("unrolled", "asm", "portable")


def choose(
    network: Network | PreconvNetwork, fmt: WeightFormat, board: Board, kernel: str = AUTO, bits: int | None = None
) -> Plan:
    """The plan for `board`. `kernel` auto is the fastest that can run the net and fits; `bits` None takes 6-bit
    activations where they cost no accuracy (calibrate.ACCURACY_RULE). The plan may still not fit: see check_fit."""
    check_format(fmt)
    if kernel not in KERNEL_CHOICES:
        found = f"{kernel!r}{near(kernel, KERNEL_CHOICES)}"
        raise InputError(f"kernel: found {found}, need {', '.join(KERNEL_CHOICES)}; leave --kernel out for the best")
    if fmt is not WeightFormat.INT8:
        _check_float(fmt, kernel, bits)
    net = quantise(network, fmt, levels=preferred_levels(network) if bits is None else LEVELS[bits])
    if kernel != AUTO:
        return plan(net, kernel)
    if fmt is WeightFormat.INT8 and board.is_avr:
        for name in _FASTEST_FIRST:
            try:
                planned = plan(net, name)
            except InputError:
                continue
            if fits(planned, board):
                return planned
    return plan(net)


def _check_float(fmt: WeightFormat, kernel: str, bits: int | None) -> None:
    """Raise InputError for what int8 alone has."""
    if kernel not in (AUTO, "portable"):
        raise InputError(
            f"{fmt.label}: found kernel {kernel}, which is for int8, need portable; "
            "leave --kernel out or choose --format int8"
        )
    if bits is not None:
        raise InputError(
            f"{fmt.label}: found {bits}-bit activations, which are for int8, need none; "
            "leave --activation-bits out or choose --format int8"
        )


def all_plans(network: Network | PreconvNetwork, fmt: WeightFormat) -> list[Plan]:
    """Every plan that an export of `network` in `fmt` could have made: a board may carry any of them."""
    plans = []
    network = preconv(network)
    for levels in LEVELS.values() if fmt is WeightFormat.INT8 else (network.levels,):
        if levels > network.levels:
            continue
        net = quantise(network, fmt, levels=levels)
        for kernel in KERNELS if fmt is WeightFormat.INT8 else ("portable",):
            try:
                plans.append(plan(net, kernel))
            except InputError:
                continue
    return plans
