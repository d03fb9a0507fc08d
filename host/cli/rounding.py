"""How the weights of a deployed net came about, in words."""

from __future__ import annotations

from host.cli.console import Console
from host.nn.formats import WeightFormat
from host.nn.network import Network
from host.quantise.graph import Graph


def format_of(graph: Graph) -> str:
    """The format, with the rounding where there is a choice: `int8 (quantisation-aware)`."""
    return graph.format.label if graph.rounding is None else f"{graph.format.label} ({graph.rounding})"


def say_what_it_was_trained_for(console: Console, network: Network, fmt: WeightFormat) -> None:
    """Say which formats a net was trained on for, where this is none of them."""
    trained = list(dict.fromkeys(one.format for one in network.qat))
    if trained and fmt.label not in trained:
        console.say(f"trained on for {' and '.join(trained)}: `--format {trained[0]}` takes what that gave")


def say_what_is_dropped(console: Console, network: Network, fmts: tuple[WeightFormat, ...]) -> None:
    """Say for which of the formats `--per-tensor` passes over weights that were trained for them."""
    dropped = [one.format for one in network.qat if WeightFormat[one.format.upper()] in fmts]
    if dropped:
        console.say(
            f"--per-tensor: leaves out what was trained for {' and '.join(dropped)}, which has a step for each row; "
            "rounded after training instead"
        )
