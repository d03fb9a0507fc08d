"""How the weights of a deployed net came about, in words."""

from __future__ import annotations

from host.cli.console import Console
from host.deploy.deployment import AnyNet, AnyNetwork, rounding
from host.quantise.numerics import WeightFormat


def format_of(net: AnyNet) -> str:
    """The format, with the rounding where there is a choice: `int8 (quantisation-aware)`."""
    way = rounding(net)
    return net.format.label if way is None else f"{net.format.label} ({way})"


def say_what_is_dropped(console: Console, network: AnyNetwork, fmts: tuple[WeightFormat, ...]) -> None:
    """Say for which of the formats `--per-tensor` passes over weights that were trained for them."""
    dropped = [one.format for one in network.qat if WeightFormat[one.format.upper()] in fmts]
    if dropped:
        console.say(
            f"--per-tensor: leaves out what was trained for {' and '.join(dropped)}, which has a step for each row; "
            "rounded after training instead"
        )
