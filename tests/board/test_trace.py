"""`host verify --trace` names the first op that differs, whatever the defect: planted in the export, in the core, in
assembly, and seen through every kind of step."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import exported, simulated
from firmware_build import CORE_FLAGS, CORE_SOURCES, LIB, compile_c
from needed import need
from networks import drawn_images, network_of, random_network
from numpy.typing import NDArray
from programs import TURNS

from host.cli import main
from host.compile.boards import BOARDS
from host.compile.budget import predict
from host.compile.export import Export
from host.compile.render import write_headers
from host.compile.select import choose, plain
from host.link.boards import connect_board
from host.link.build import Built, build_firmware
from host.link.run import identity, image_bytes, stream
from host.link.target import target_board
from host.link.trace import Tracer
from host.modelfile import file as model_file
from host.nn.formats import WeightFormat
from host.nn.layers import AveragePool2d, Conv2d, Dense, Flatten, MaxPool2d, ReLU
from host.quantise.graph import Graph
from host.quantise.lower import lower
from host.quantise.ops import Codes, Conv, Op
from host.quantise.ops import Dense as DenseOp
from host.quantise.reference import infer, op_inputs
from host.quantise.requantisers import HalfUp
from host.report.divergence import Trace, compare, document

Capture = pytest.CaptureFixture[str]
Images = NDArray[np.uint8]
LAYERS = (
    *(Conv2d(4, 3), ReLU(), MaxPool2d(), Conv2d(6, 3, padding=1), ReLU(), MaxPool2d(3, 2)),
    *(Flatten(), Dense(12), ReLU()),
)
"""conv 3x3 4, pool 2; conv 3x3 6; max pool 3, stride 2; dense 54-12; dense 12-10."""
IMAGES = drawn_images(60)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return lower(network_of(LAYERS), prune=False)


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What no model changes, compiled once."""
    folder = tmp_path_factory.mktemp("objects")
    for source in CORE_SOURCES:
        if source.parent.name != "app":
            compile_c([need("cc", "gcc"), *CORE_FLAGS, "-c", source, "-o", folder / f"{source.stem}.o"])
    return folder


@pytest.fixture
def native(repository: Path, objects: Path, tmp_path: Path) -> Callable[..., Built]:
    """`native(export, source, right, wrong)` is a native build that traces, with a defect in one source of the core."""

    def build(export: Export, name: str = "", right: str = "", wrong: str = "") -> Built:
        write_headers(export, tmp_path / "model")
        command = [need("cc", "gcc"), "-DMODEL_TRACE", *CORE_FLAGS, f"-I{tmp_path / 'model'}"]
        if name:
            text = (LIB / name).read_text()
            assert text.count(right) == 1, f"{name} no longer has `{right}`: plant another defect"
            (tmp_path / Path(name).name).write_text(text.replace(right, wrong))
            command.append(tmp_path / Path(name).name)
        ready = [path for path in sorted(objects.glob("*.o")) if path.stem != Path(name).stem]
        own = [*(LIB / "app").glob("*.c"), repository / "firmware/src/native_main.c"]
        compile_c([*command, *own, *ready, "-o", tmp_path / "program"])
        return Built(tmp_path, None, None)

    return build


def traced(built: Built, sent: Export, meant: Export, images: Images, at: int = 0, board: str = "native") -> Trace:
    """What image `at` shows, of a board that was given `sent` and should run `meant`."""
    target = BOARDS[board]
    with connect_board(target, built) as line:
        outcome = stream(line.transport, [image_bytes(image) for image in images[:1]], [identity(sent)])
        before = image_bytes(images[at - 1]) if at else None
        answer = Tracer(line.transport, outcome.ready, meant.on(target).outputs).trace(image_bytes(images[at]), before)
    return compare(meant.on(target), images[at], answer, at)


def changed(graph: Graph, number: int, change: Callable[[Op], Op]) -> Graph:
    ops = list(graph.ops)
    ops[number] = change(ops[number])
    return replace(graph, ops=tuple(ops))


def rows(**fields: Callable[[Any], Any]) -> Callable[[Op], Op]:
    """A change of an op's numbers."""

    def change(op: Op) -> Op:
        assert isinstance(op, Conv | DenseOp)
        return replace(op, rows=replace(op.rows, **{name: new(getattr(op.rows, name)) for name, new in fields.items()}))

    return change


def bumped(at: tuple[int, ...], by: int) -> Callable[[Any], Any]:
    """One number off by so much."""

    def change(numbers: Any) -> Any:
        found = numbers.copy()
        found[at] += by
        return found

    return change


def negated(numbers: Any) -> Any:
    """The weights of one output."""
    found = numbers.copy()
    found[2] = -found[2]
    return found


IN_THE_EXPORT = {
    # The op, what is wrong with it, and its title.
    "another shift": (1, rows(requantiser=lambda rule: HalfUp(rule.multipliers, 40 - rule.shift)), "conv 3x3 6"),
    "a multiplier": (
        0,
        rows(requantiser=lambda rule: HalfUp(bumped((1,), 900)(rule.multipliers), rule.shift)),
        "conv 3x3 4, pool 2",
    ),
    "one bias off by one": (1, rows(bias=bumped((4,), 1)), "conv 3x3 6"),
    "flipped weights": (1, rows(weights=negated), "conv 3x3 6"),
    "a clamp at 127": (1, rows(codes=lambda codes: Codes(127)), "conv 3x3 6"),
    "scores without bias": (4, rows(bias=lambda bias: bias * 0), "dense 12-10"),
}


def first_that_differs(right: Graph, wrong: Graph, number: int) -> int:
    """The first image of which op `number` makes something else; the ops before it must not."""
    assert number < len(right.ops)
    if number == len(right.ops) - 1:
        return int(np.flatnonzero((infer(right, IMAGES).words != infer(wrong, IMAGES).words).any(axis=1))[0])
    pair = [op_inputs(each, IMAGES)[number + 1] for each in (right, wrong)]
    return int(np.flatnonzero((pair[0] != pair[1]).reshape(len(IMAGES), -1).any(axis=1))[0])


@pytest.mark.parametrize("defect", IN_THE_EXPORT)
def test_a_defect_of_the_export_is_named(graph: Graph, native: Callable[..., Built], defect: str) -> None:
    number, change, title = IN_THE_EXPORT[defect]
    wrong = changed(graph, number, change)
    at = first_that_differs(graph, wrong, number)
    trace = traced(native(plain(wrong)), plain(wrong), plain(graph), IMAGES, at)
    first = trace.first
    assert first is not None and first.ops == (number,)
    assert trace.finding.startswith(f"first to differ: op {number}, {title}: ")
    pair = [each.scores[0] for each in (infer(wrong, IMAGES[at : at + 1]), infer(graph, IMAGES[at : at + 1]))]
    if number < len(graph.ops) - 1:
        pair = [op_inputs(each, IMAGES[at : at + 1])[number + 1][0] for each in (wrong, graph)]
    assert first.place is not None and first.own == first.differing == int((pair[0] != pair[1]).sum())
    assert (first.board, first.reference) == tuple(values[first.place.at] for values in pair)
    assert not any(step.differing for step in trace.steps[:number])
    assert not any(step.own for step in trace.steps[number + 1 :]), "what follows from it is no defect of its own"
    assert document(trace)["first"]["place"] == first.place.named


IN_THE_CORE = {
    "a max-pool that leaves out a column": (
        "nn/nn_pool.c",
        "dx = layer->size_width; dx; dx--) {\n            if",
        "dx = layer->size_width - 1; dx; dx--) {\n            if",
        (2,),
    ),
    "a byte of the arena that nobody wrote": (
        "nn/nn_walk.c",
        "is_first_line && !dx, out",
        "is_first_line && !dx && !(layer->padding && x == 1), out",
        (1,),
    ),
    "a dense layer that reads another row": (
        "nn/nn_dense.c",
        "        row += 6;\n        row += weight_bytes;",
        "        row += 6;\n        row += i == 3 ? 0 : weight_bytes;",
        (3,),
    ),
    "no rounding": ("nn/nn_dot.c", "((low + 0x8000u) >> 16)", "(low >> 16)", (1,)),
    "scores of one input fewer": (
        "nn/nn_dense.c",
        "out[i] = row_sum(&layer, row + 4, in, nn_far_i32(row), is_packed);",
        "layer.inputs--; out[i] = row_sum(&layer, row + 4, in, nn_far_i32(row), is_packed); layer.inputs++;",
        (4,),
    ),
}


@pytest.mark.parametrize("defect", IN_THE_CORE)
def test_a_defect_of_the_core_is_named(graph: Graph, native: Callable[..., Built], defect: str) -> None:
    name, right, wrong, ops = IN_THE_CORE[defect]
    export = plain(graph)
    trace = traced(native(export, name, right, wrong), export, export, IMAGES, 3)
    assert trace.first is not None and trace.first.ops == ops, trace.finding
    assert not any(step.differing for step in trace.steps[: ops[0]])


def test_a_last_maximum_is_told_apart_from_a_wrong_score(graph: Graph, native: Callable[..., Built]) -> None:
    best = int(np.bincount(infer(graph, IMAGES).classes).argmax())
    assert best != 9
    twice = np.array([*range(9), best])  # the last class has the same numbers
    tied = changed(graph, 4, rows(weights=lambda numbers: numbers[twice], bias=lambda bias: bias[twice]))
    at = int(np.flatnonzero(infer(tied, IMAGES).classes == best)[0])
    export = plain(tied)
    begin = "nn_argmax_i32(const int32_t *scores, uint8_t classes)\n{\n"
    until = "    uint8_t best = 0;\n    for (uint8_t i = 1; i < classes; i++) {\n        if (scores[i] >"
    broken = native(export, "nn/nn_argmax.c", begin + until, f"{begin}{until}=")
    trace = traced(broken, export, export, IMAGES, at)
    assert trace.first is None and not trace.is_equal
    assert f"all values and scores are equal, but the class is 9, not {best}: the choice" in trace.finding


def test_layers_compiled_into_code_are_named_together() -> None:
    graph = lower(random_network(shape=(16, 16), hidden=12, classes=10), prune=False)
    uno = target_board("uno")
    wrong = changed(graph, 2, rows(bias=bumped((3,), 1)))
    sent, meant = (choose(each, uno, "unrolled") for each in (wrong, graph))
    built = build_firmware(sent, uno, trace=True)
    trace = traced(built, sent, meant, drawn_images(3), 2, "uno")
    assert trace.steps[0].name == "front end" and not trace.steps[0].differing
    assert trace.first is not None and trace.first.ops == (1, 2)
    assert (
        "ops 1 to 2 in one step, dense 64-12 with dense 12-10: 1 of 10 values differs, first class 3" in trace.finding
    )
    budget = predict(sent.on(uno), uno, trace=True)
    assert built.ram_static == budget.ram_static and 0 <= budget.flash - (built.flash or 0) <= 300


@pytest.mark.parametrize(
    ("layers", "fmt", "side"),
    [
        (LAYERS, "int8", 16),
        ((MaxPool2d(), Conv2d(4, 3), ReLU(), AveragePool2d(), Flatten(), Dense(5), ReLU()), "float32", 16),
        (TURNS, "int8", 28),
    ],
    ids=["padded", "floats", "in turns"],
)
def test_every_step_of_a_sound_board_is_equal(tmp_path: Path, layers: object, fmt: str, side: int) -> None:
    """Also of two convolutions in turns, of an image that is overwritten, and of floats."""
    uno = target_board("uno")
    graph = lower(network_of(layers, side=side), WeightFormat[fmt.upper()])
    export = choose(graph, uno)
    images = drawn_images(2, side)
    built = build_firmware(export, uno, trace=True)
    trace = traced(built, export, export, images, 1, "uno")
    assert trace.is_equal, trace.finding
    assert [number for step in trace.steps for number in step.ops] == list(range(len(graph.ops)))
    assert (any(len(step.ops) == 2 for step in trace.steps)) == (layers is TURNS)
    budget = predict(export.on(uno), uno, trace=True)
    assert built.ram_static == budget.ram_static and -60 <= budget.flash - (built.flash or 0) <= 300


def test_a_flashed_board_traces_or_says_that_it_cannot(tmp_path: Path, capsys: Capture) -> None:
    network, model, target = random_network(shape=(16, 16), classes=10), tmp_path / "net.h5", tmp_path / "out.json"
    model_file.save(network, model)
    export = exported(model)
    arguments = [str(model), "--data", "digits", "--json", str(target)]
    with simulated(build_firmware(export, BOARDS["uno"]).program) as (port, _):
        assert main(["verify", *arguments, "--port", port, "--limit", "3", "--trace", "1"]) == 3
    said = capsys.readouterr().err
    assert "board: trace: found firmware that does not trace, need a build with -DMODEL_TRACE" in said
    assert said.count("\n") == 1 and not target.exists()
    with simulated(build_firmware(export, BOARDS["uno"], trace=True).program) as (port, _):
        assert main(["explain", *arguments, "--port", port, "--index", "7"]) == 0
    result = json.loads(target.read_text())
    assert result["trace"]["equal"] and [step["ops"] for step in result["trace"]["steps"]] == [[0], [1, 2]]
    assert result["class"]["board"] == result["class"]["reference"]
    assert result["scores"]["board"] == result["scores"]["reference"]
    assert "seen with op 2" in capsys.readouterr().out


def test_a_net_that_fits_but_for_the_trace_is_told_by_how_much(tmp_path: Path, capsys: Capture) -> None:
    uno, model = target_board("uno"), tmp_path / "net.h5"
    for hidden in range(40, 90):
        network = random_network(shape=(16, 16), hidden=hidden, classes=10)
        program = plain(lower(network, WeightFormat.FLOAT32)).on(uno)
        if predict(program, uno).fits(uno) and predict(program, uno, trace=True).flash > uno.flash:
            break
    else:
        pytest.fail("every net that fits can be traced: plant another one")
    model_file.save(network, model)
    wish = ["--data", "digits", "--board", "uno", "--format", "float32", "--kernel", "portable", "--trace", "1"]
    assert main(["verify", str(model), *wish]) == 2
    flash = predict(program, uno, trace=True).flash
    said = capsys.readouterr().err
    assert f"uno: a build that traces: flash: found {flash:,} bytes needed, 32,256 there; trace it with" in said


def test_one_build_cannot_do_both(tmp_path: Path, capsys: Capture) -> None:
    model_file.save(random_network(shape=(16, 16), classes=10), tmp_path / "net.h5")
    arguments = ["--data", "digits", "--board", "uno", "--trace", "1", "--profile"]
    assert main(["verify", str(tmp_path / "net.h5"), *arguments]) == 2
    assert "verify: --trace: found it with --profile" in capsys.readouterr().err
