"""From a learned net to the plan that a board gets, what that costs, and what to do when it does not fit."""

from __future__ import annotations

from host.compile.boards import BOARDS, Board
from host.deploy import learned_costs
from host.deploy.budget import Budget
from host.deploy.learned_nets import LearnedNet
from host.deploy.learned_plan import LearnedPlan, plan_learned
from host.deploy.learned_quantise import quantise_learned
from host.errors import FitError, InputError
from host.nn.network import Network
from host.quantise.numerics import WeightFormat

FORMATS = (WeightFormat.INT8, WeightFormat.INT4, WeightFormat.TERNARY)
KERNELS = ("auto", "portable", "asm")


def choose(
    network: Network,
    fmt: WeightFormat,
    board: Board | None = None,
    kernel: str = "auto",
    bits: int | None = None,
    *,
    per_tensor: bool = False,
) -> LearnedPlan:
    """The plan for `board`: `kernel` auto is the assembly where it fits; the image is left as it is, and each stage
    done before the next, where there is room for that. The plan may still not fit: see check_fit."""
    check_format(fmt)
    if kernel not in KERNELS:
        need = f"{', '.join(KERNELS[:-1])} or {KERNELS[-1]}"
        raise InputError(f"kernel: found {kernel!r} for a net of learned kernels, need {need}; leave --kernel out")
    if bits not in (None, 8):
        raise InputError(
            f"activation-bits: found {bits} for a net of learned kernels, need 8; leave --activation-bits out"
        )
    net = quantise_learned(network, fmt, per_tensor=per_tensor)
    if board is None or not board.is_avr:
        return plan_learned(net, "portable" if kernel == "auto" else kernel)
    kernels = ("asm", "portable") if kernel == "auto" else (kernel,)
    plans = [
        plan_learned(net, name, keep_image=keep, pairs=pairs)
        for name in kernels
        for pairs in (False, True)
        for keep in (True, False)
    ]
    return next((planned for planned in plans if predict(planned, board).fits(board)), plans[-1])


def all_plans(network: Network, fmt: WeightFormat) -> list[LearnedPlan]:
    """Every plan that a board may carry, also one flashed before `network` was trained for the format; where the image
    lies makes no difference to what it answers."""
    found = [quantise_learned(network, fmt, per_tensor=each) for each in (False, True)]
    found.append(quantise_learned(network, fmt, post_training=True))
    nets = {net.hash: net for net in reversed(found)}  # of two ways to the same numbers the first is named
    return [plan_learned(net, kernel) for net in nets.values() for kernel in ("asm", "portable")]


def check_format(fmt: WeightFormat) -> None:
    """Raise InputError for a format that nets of learned kernels have not."""
    if fmt not in FORMATS:
        names = ", ".join(known.label for known in FORMATS)
        raise InputError(f"{fmt.label}: found a net of learned kernels, need {names} for it; leave --format out")


def predict(planned: LearnedPlan, board: Board, network: Network | None = None) -> Budget:
    """The budget of `planned` on `board`, an AVR; for the native build the figures are an Uno's. With `network` the
    cycles are those of its training images."""
    known = network.calibrations if network else ()
    densities = [float(density.mean()) for density in known[0].densities] if known else None
    return Budget(
        flash=learned_costs.flash(planned, board),
        near_weights=0,
        ram_static=learned_costs.ram_static(planned, board),
        stack=learned_costs.STACK_BYTES,
        parts=tuple(zip(planned.marks, learned_costs.cycles(planned, board, densities), strict=True)),
    )


def check_fit(network: Network, planned: LearnedPlan, board: Board) -> Budget:
    """The budget; raise FitError, naming the bytes and what would fit, where `board` is too small."""
    budget = predict(planned, board, network)
    needs = budget.lacking(board)
    if not needs:
        return budget
    what = f"{planned.net.format.label}, kernel {planned.kernel}, {planned.title}"
    raise FitError(f"{board.name}: {what}: {'; '.join(needs)}; {_what_would_fit(network, planned, board)}")


def _what_would_fit(network: Network, planned: LearnedPlan, board: Board) -> str:
    hints = []
    for fmt in FORMATS[FORMATS.index(planned.net.format) + 1 :]:
        budget = predict(choose(network, fmt, board), board)
        if budget.fits(board):
            hints.append(f"--format {fmt.label} would fit with {budget.flash:,} bytes of flash")
            break
    larger = [board.name for board in BOARDS.values() if board.is_avr and predict(planned, board).fits(board)]
    if larger:
        hints.append(f"--board {larger[0]} has room for it")
    if hints:
        return ", ".join(hints)
    widest = max(planned.steps, key=lambda step: _rom_bytes(planned.net, step.index))
    share = _rom_bytes(planned.net, widest.index)
    return f"train a smaller net: {widest.name} alone takes {share:,} bytes of flash"


def _rom_bytes(net: LearnedNet, index: int) -> int:
    starts = [step.rom for step in plan_learned(net).steps] + [len(plan_learned(net).rom)]
    return starts[index + 1] - starts[index]
