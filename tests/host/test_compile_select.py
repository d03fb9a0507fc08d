"""Which kernels a board's program is made of: the quickest that fit, and what would where none does."""

import dataclasses
import itertools

import pytest
from graphs import graph_of, half_up
from networks import LAYERS, network_of, random_network

from host.compile import advice
from host.compile.advice import check_fit
from host.compile.boards import ATMEGA328P, BOARDS, COMPILERS, HOST
from host.compile.budget import fits, predict
from host.compile.kernels.catalogue import CATALOGUE
from host.compile.kernels.kinds import ASSEMBLY, CODE, KINDS, PORTABLE
from host.compile.program import alive_behind
from host.compile.select import AUTO, CHOICES, all_exports, choose, plain, tile
from host.errors import FitError, InputError
from host.nn.formats import WeightFormat
from host.nn.layers import Conv2d, Dense, Flatten, MaxPool2d, ReLU, preconv_layers
from host.quantise.lower import lower

INT8, INT4, TERNARY = WeightFormat.INT8, WeightFormat.INT4, WeightFormat.TERNARY
UNO, MEGA, NATIVE = BOARDS["uno"], BOARDS["mega"], BOARDS["native"]


@pytest.fixture(scope="module")
def narrow(network):
    return lower(network, INT8, top=63)


def smaller(board, flash):
    return dataclasses.replace(board, flash=flash)


def test_the_fastest_that_fits_is_taken(narrow):
    budgets = {kind: predict(choose(narrow, UNO, kind).on(UNO), UNO) for kind in KINDS}
    assert budgets[CODE].cycles < budgets[ASSEMBLY].cycles < budgets[PORTABLE].cycles
    assert choose(narrow, UNO).kernel == CODE
    assert choose(narrow, smaller(UNO, budgets[CODE].flash)).kernel == CODE
    assert choose(narrow, smaller(UNO, budgets[CODE].flash - 1)).kernel == ASSEMBLY
    assert choose(narrow, smaller(UNO, budgets[ASSEMBLY].flash - 1)).kernel == PORTABLE


@pytest.mark.parametrize("board", [UNO, MEGA, NATIVE])
@pytest.mark.parametrize("kind", [AUTO, PORTABLE])
def test_costs_are_those_of_the_compiler_and_kernels_are_not(narrow, board, kind):
    """Where the same program fits. Whoever built what a board carries, it is one of those that are known."""
    targets = [board.compiled_by(version) for version in COMPILERS]
    exports = [choose(narrow, target, kind) for target in targets]
    assert len({export.weights_crcs for export in exports}) == 1
    budgets = [predict(export.on(target), target) for export, target in zip(exports, targets, strict=True)]
    assert [budget.compiler for budget in budgets] == list(COMPILERS)
    assert len({budget.flash for budget in budgets}) == len(COMPILERS)


def test_what_a_compilers_code_leaves_no_room_for_is_run_by_another_kernel(narrow):
    targets = {version: UNO.compiled_by(version) for version in COMPILERS}
    sizes = {version: predict(choose(narrow, uno).on(uno), uno).flash for version, uno in targets.items()}
    assert sizes["7.3.0"] < sizes["5.4.0"]
    tight = smaller(UNO, sizes["7.3.0"])
    assert choose(narrow, tight.compiled_by("7.3.0")).kernel == CODE
    assert choose(narrow, tight.compiled_by("5.4.0")).kernel == ASSEMBLY


def every_tiling(ops, chip, kinds):
    """All ways to run a chain."""
    if not ops:
        yield []
        return
    for kernel in CATALOGUE:
        taken = ops[: kernel.takes(ops)] if kernel.kind in kinds else ()
        if taken and kernel.refuses(taken, chip) is None:
            for others in every_tiling(ops[len(taken) :], chip, kinds):
                yield [(kernel, taken), *others]


@pytest.mark.parametrize("kinds", [(PORTABLE,), (ASSEMBLY, PORTABLE), (CODE, ASSEMBLY, PORTABLE)])
@pytest.mark.parametrize("name", ["separable", "strided", "pools", "dense alone", "front end"])
def test_no_tiling_takes_fewer_cycles(name, kinds):
    graph = lower(random_network(top=63, scale=0.002) if name == "front end" else network_of(name))

    def cycles(tiles):
        return sum(kernel.cost(ops, ATMEGA328P, alive_behind(graph, ops)).cycles for kernel, ops in tiles)

    tilings = list(every_tiling(graph.ops, ATMEGA328P, kinds))
    assert kinds == (PORTABLE,) or len(tilings) > 1
    found = tile(graph, ATMEGA328P, kinds)
    assert tuple(itertools.chain(*(ops for _, ops in found))) == graph.ops
    assert cycles(found) == pytest.approx(min(map(cycles, tilings)))


def test_where_nothing_fits_the_portable_program_says_so(network, narrow):
    board = smaller(UNO, 3000)
    export = choose(narrow, board)
    assert export.kernel == PORTABLE
    message = r"uno: int8, kernel portable, front end; dense 64-12-10: flash: found [\d,]+ bytes needed, 3,000 there"
    with pytest.raises(FitError, match=message):
        check_fit(network, export, board)


def test_code_is_for_sums_that_fit_and_for_the_chips_that_run_it(network, narrow):
    assert choose(narrow, NATIVE).kernel == PORTABLE
    assert choose(narrow, MEGA).kernel == CODE
    # Asked for, the headers hold the assembly beside the C that this machine compiles.
    asked = choose(narrow, NATIVE, ASSEMBLY)
    assert asked.kernel == ASSEMBLY and asked.on(NATIVE).kind == PORTABLE and asked.on(UNO).kind == ASSEMBLY
    wide = lower(random_network(1, shape=(16, 16), hidden=40, classes=10, scale=2.0), INT8)
    assert choose(wide, UNO).kernel == ASSEMBLY


def test_a_kernel_asked_for_that_runs_none_of_the_ops_says_why(network):
    floats = lower(random_network(shape=(8, 8)), WeightFormat.FLOAT32)
    for kernel in (ASSEMBLY, CODE):
        with pytest.raises(InputError) as caught:
            choose(floats, UNO, kernel)
        text = str(caught.value)
        assert text.startswith(f"{kernel}: dense ") and text.isprintable()
        assert "found float32 weights, need an integer format; leave --kernel out for the best" in text


def test_an_op_that_no_kernel_runs_is_named(narrow):
    wrong = dataclasses.replace(narrow.ops[-1], rows=dataclasses.replace(narrow.ops[-1].rows, requantiser=None))
    huge = half_up(12, 0xFFFF, 3)
    hidden = dataclasses.replace(narrow.ops[1], rows=dataclasses.replace(narrow.ops[1].rows, requantiser=huge))
    graph = graph_of(narrow.ops[0], hidden, wrong)
    for board in (UNO, NATIVE):
        with pytest.raises(InputError, match="int8: dense 64-12: found multiplier 65535 at shift 3, need one below"):
            choose(graph, board)


def test_an_unknown_kernel_is_named_with_the_known(narrow):
    with pytest.raises(InputError) as caught:
        choose(narrow, UNO, "fast")
    assert all(name in str(caught.value) for name in CHOICES)


@pytest.mark.parametrize("fmt", [INT8, INT4, TERNARY])
@pytest.mark.parametrize("name", ["separable", "front end and convolutions", "front end"])
def test_every_kind_of_kernel_runs_every_integer_format_and_mixes_with_others(name, fmt):
    layers = {
        "front end": (*preconv_layers(63), Flatten(), Dense(12), ReLU()),
        "front end and convolutions": (*preconv_layers(63), Conv2d(4, 3), ReLU(), MaxPool2d(), Flatten()),
    }
    graph = lower(network_of(layers.get(name, name)), fmt, top=63)
    exports = [choose(graph, UNO, kernel) for kernel in (PORTABLE, ASSEMBLY, CODE)]
    assert [export.kernel for export in exports] == [PORTABLE, ASSEMBLY, CODE]
    assert len({export.on_avr.rom for export in exports}) == 3
    assert {export.portable.crc for export in exports} == {exports[0].portable.crc}
    assert {export.graph.hash for export in exports} == {graph.hash}
    assert exports[2].avr.steps[-1].kernel.kind == CODE
    # Convolutions, pools and the front end stand in front of it, each by its own kernel.
    assert {step.kernel.kind for step in exports[2].avr.steps[:-1]} <= {ASSEMBLY, PORTABLE}


def test_a_board_short_of_ram_gets_the_image_in_the_arena():
    layers = (Conv2d(8, 5), ReLU(), MaxPool2d(), Conv2d(16, 5), ReLU(), MaxPool2d(), Flatten(), Dense(64), ReLU())
    network = network_of(layers, side=28)
    graph = lower(network)
    on_uno = choose(graph, UNO)
    assert on_uno.on(UNO).image_at is not None and on_uno.portable.image_at is not None
    check_fit(network, on_uno, UNO)
    assert choose(graph, MEGA, ASSEMBLY).on(MEGA).image_at is None
    assert choose(graph, NATIVE).on(NATIVE).image_at is None


def test_two_convolutions_in_turns_where_an_uno_has_no_room_for_the_map_between():
    layers = (
        *(Conv2d(8, 5), ReLU(), MaxPool2d(), Conv2d(16, 3), ReLU(), Conv2d(24, 3), ReLU(), MaxPool2d()),
        *(Flatten(), Dense(32), ReLU()),
    )
    network = network_of(layers, side=28)
    graph = lower(network)
    export = choose(graph, UNO)
    budget, program = check_fit(network, export, UNO), export.on(UNO)
    assert (program.layout.pair, program.arena_bytes) == (1, 1440)
    assert program.marks[1] == "conv 3x3 16 with conv 3x3 24, pool 2" and len(program.marks) == len(budget.parts) == 4
    assert choose(graph, MEGA, ASSEMBLY).on(MEGA).layout.pair is None


@pytest.mark.parametrize("name", [*LAYERS, "front end", "large"])
def test_a_board_may_carry_whatever_can_be_chosen(name):
    if name in LAYERS:
        graph = lower(network_of(name), TERNARY)
    elif name == "large":
        # More code than an Uno has flash for, but not a Mega.
        graph = lower(random_network(shape=(28, 28), hidden=64, classes=10, top=63, scale=0.001), TERNARY)
    else:
        graph = lower(random_network(shape=(16, 16), hidden=9, classes=10, top=63, scale=0.002))
    known, chosen = {crc for export in all_exports(graph) for crc in export.weights_crcs}, set()
    for board, kernel in itertools.product((NATIVE, UNO, MEGA), (AUTO, *KINDS)):
        try:
            chosen |= set(choose(graph, board, kernel).weights_crcs)
        except InputError:
            assert kernel == CODE
    assert len(chosen) >= 3 and chosen <= known


@pytest.mark.parametrize(
    ("layers", "side", "complaint"),
    [
        ((Conv2d(16, 3), ReLU(), Conv2d(16, 3), ReLU(), Flatten()), 16, "RAM: found"),
        ((Flatten(), Dense(200), ReLU()), 16, "flash: found"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_figures(layers, side, complaint):
    network = network_of(layers, side=side)
    with pytest.raises(FitError) as caught:
        check_fit(network, choose(lower(network), UNO), UNO)
    message = str(caught.value)
    assert complaint in message and "--board mega has room for it" in message and message.isprintable()


@pytest.mark.parametrize("name", [board.name for board in BOARDS.values() if board.counts_memory])
def test_a_board_that_is_no_larger_is_never_named(narrow, name):
    board = BOARDS[name]
    # The net fits every board: what is named depends on their sizes alone.
    (hint,) = advice._larger_board(choose(narrow, board), board)
    named = BOARDS[hint.split()[1]]
    assert named.flash > board.flash or named.ram > board.ram


def test_a_net_for_no_board_names_its_largest_layer():
    network = network_of((Conv2d(32, 3), ReLU(), Flatten()), side=28)
    with pytest.raises(FitError) as caught:
        check_fit(network, choose(lower(network), MEGA), MEGA)
    assert "train a smaller net: dense 21632-10 alone takes 216," in str(caught.value)


@pytest.mark.parametrize("fmt", [WeightFormat.FLOAT32, INT8])
def test_what_is_said_to_fit_does(fmt):
    network = random_network(shape=(28, 28), classes=10, hidden=200)
    export = choose(lower(network, fmt), UNO)
    with pytest.raises(FitError) as caught:
        check_fit(network, export, UNO)
    message = str(caught.value)
    smaller_format = message.split("--format ")[1].split()[0]
    graph = lower(network, WeightFormat[smaller_format.upper()])
    program = choose(graph, UNO).on(UNO)
    assert f"--format {smaller_format} would fit with {predict(program, UNO).flash:,} bytes of flash" in message
    assert fits(program, UNO)
    hidden = int(message.split("--hidden ")[1].split()[0])
    for size, does in ((hidden, True), (hidden + 1, False)):
        net = lower(random_network(shape=(28, 28), classes=10, hidden=size), prune=False)
        assert fits(plain(net).on(UNO), UNO) is does


def test_a_kernel_asked_for_that_does_not_fit_names_the_portable_one(network, narrow):
    export = choose(narrow, UNO, CODE)
    flash = predict(plain(narrow).on(UNO), UNO).flash
    assert predict(export.on(UNO), UNO).flash > flash
    with pytest.raises(FitError, match="--kernel portable would fit; so may --kernel auto"):
        check_fit(network, export, smaller(UNO, flash))


def test_the_programs_of_an_export_hold_the_same_graph(narrow):
    export = choose(narrow, UNO)
    assert all(program.graph is narrow for program in export.programs)
    assert export.programs == (export.avr, export.portable) and export.portable.chip is HOST
    assert export.on(MEGA).chip is MEGA.chip and export.on(NATIVE).chip is HOST
    assert export.title == "front end; dense 64-12-10"
