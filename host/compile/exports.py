"""From a network to what a board gets, in the words of the command line: format, activation bits, kernel."""

from __future__ import annotations

from host.compile.boards import Board
from host.compile.export import Export
from host.compile.kernels.kinds import AUTO
from host.compile.select import choose, plain
from host.errors import InputError
from host.nn.formats import WeightFormat
from host.nn.network import Network
from host.quantise.calibrate import export_top
from host.quantise.graph import PER_TENSOR, Graph
from host.quantise.lower import lower


def export_for(
    network: Network,
    fmt: WeightFormat,
    board: Board,
    kernel: str = AUTO,
    bits: int | None = None,
    *,
    per_tensor: bool = False,
    profile: bool = False,
) -> Export:
    """The export for `board`; see select.choose and lower. `bits` None takes 6-bit activations where they cost no
    accuracy. It may still not fit: see advice.check_fit. Raise InputError for an option that would change nothing."""
    return choose(lowered(network, fmt, bits, per_tensor=per_tensor), board, kernel, profile=profile)


def lowered(
    network: Network,
    fmt: WeightFormat,
    bits: int | None = None,
    *,
    per_tensor: bool = False,
    post_training: bool = False,
) -> Graph:
    """The graph with the activations that an export takes."""
    if not fmt.is_integer:
        _check_float(fmt, bits, per_tensor)
    top = export_top(network, fmt, bits)
    graph = lower(network, fmt, top=top, per_tensor=per_tensor, post_training=post_training)
    if per_tensor and lower(network, fmt, top=top, post_training=True).rounding == PER_TENSOR:
        raise InputError(
            "per-tensor: found layers with one scale each already, need rows with their own; leave --per-tensor out"
        )
    return graph


def plain_export(
    network: Network,
    fmt: WeightFormat,
    bits: int | None = None,
    *,
    per_tensor: bool = False,
    post_training: bool = False,
) -> Export:
    """The portable program alone, for no board in particular."""
    return plain(lowered(network, fmt, bits, per_tensor=per_tensor, post_training=post_training))


def formats(network: Network) -> tuple[WeightFormat, ...]:
    """The formats in which some board can hold `network`."""
    return tuple(fmt for fmt in WeightFormat if refusal(network, fmt) is None)


def refusal(network: Network, fmt: WeightFormat) -> str | None:
    """Why no board can hold `network` in a format, None where one can."""
    try:
        plain_export(network, fmt)
    except InputError as error:
        return str(error)
    return None


def _check_float(fmt: WeightFormat, bits: int | None, per_tensor: bool) -> None:
    """Raise InputError for what integer formats alone have."""
    if bits is not None:
        raise InputError(
            f"{fmt.label}: found {bits}-bit activations, which are for integers, need none; "
            "leave --activation-bits out or choose --format int8"
        )
    if per_tensor:
        raise InputError(
            f"{fmt.label}: found --per-tensor, which is for integers, need floats without it; leave one of them out"
        )
