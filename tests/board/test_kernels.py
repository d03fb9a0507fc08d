"""Every kernel on all of USPS: the simulated Uno gives the reference's bits, in the cycles that were promised."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from commands import verify_usps
from networks import random_network
from workbench import Workbench

from host.cli import main
from host.compile.boards import BOARDS
from host.compile.export import Export
from host.compile.exports import export_for
from host.data import load
from host.link.run import identity
from host.modelfile import file as model_file
from host.nn.formats import WeightFormat

DIGITS = 2007
FEW = 150
# Kernel, activation bits, and the mean cycles that the seed's 64-40-10 may take at most.
KERNELS = [
    ("portable", 6, 60_000),
    ("portable", 8, 80_000),
    ("asm", 6, 26_000),
    ("asm", 8, 33_000),
    ("unrolled", 6, 15_500),
    ("unrolled", 8, 18_000),
]
Model = Callable[..., Path]
Capture = pytest.CaptureFixture[str]


def exported_kernel(place: Path, model: Path, *arguments: object) -> str:
    target = place / "export.json"
    assert main(["export", str(model), *map(str, arguments), "-o", str(place), "--json", str(target)]) == 0
    return str(json.loads(target.read_text())["kernel"])


@pytest.mark.parametrize(("kernel", "bits", "most"), KERNELS)
def test_all_digits_agree_bit_for_bit(trained: Model, tmp_path: Path, kernel: str, bits: int, most: int) -> None:
    choice = ["--kernel", kernel, "--activation-bits", bits, "--baud", 1_000_000]
    code, result = verify_usps(tmp_path, trained("preconv-seed"), "--board", "uno", *choice)
    assert (code, result["verdict"], result["n"]) == (0, "pass", DIGITS)
    assert result["agreement"]["classes_equal"] == result["agreement"]["scores_equal"] == DIGITS
    assert result["cycles"]["mean"] <= most
    assert (result["link"]["retries"], result["link"]["overruns"], result["link"]["resets"]) == (0, 0, 0)


def narrow(model: Path, kernel: str) -> Export:
    """With activations of 6 bits."""
    return export_for(model_file.load(model), WeightFormat.INT8, BOARDS["uno"], kernel, 6)


@pytest.mark.parametrize("kernel", ["asm", "unrolled"])
def test_a_switch_compiles_the_portable_path_of_the_same_headers(
    trained: Model, workbench: Workbench, kernel: str
) -> None:
    uno, images = BOARDS["uno"], load("usps").test.images[:FEW]
    with_assembly = narrow(trained("preconv-seed"), kernel)
    fast = workbench.measure(with_assembly, uno, images)
    switched = workbench.measure(with_assembly, uno, images, "-DNN_PORTABLE")
    plain = workbench.measure(narrow(trained("preconv-seed"), "portable"), uno, images)
    # `measure` has compared every score already.
    assert fast.cycles < 0.5 * switched.cycles
    assert abs(switched.cycles - plain.cycles) < 0.01 * plain.cycles
    assert abs(switched.flash - plain.flash) < 200


@pytest.mark.parametrize("kernel", ["asm", "unrolled"])
def test_the_same_headers_build_natively(trained: Model, tmp_path: Path, capsys: Capture, kernel: str) -> None:
    code, result = verify_usps(
        tmp_path, trained("preconv-seed"), "--board", "native", "--kernel", kernel, "--activation-bits", 6
    )
    assert (code, result["agreement"]["scores_equal"]) == (0, DIGITS)
    assert f"kernel {kernel} (its portable C), for native with PlatformIO\n" in capsys.readouterr().out


def test_left_open_the_kernel_is_the_fastest_that_fits(trained: Model, tmp_path: Path) -> None:
    model, six = trained("preconv-seed"), ("--activation-bits", 6)
    assert exported_kernel(tmp_path, model, "--board", "uno", *six) == "unrolled"
    assert exported_kernel(tmp_path, model, "--board", "mega", *six) == "unrolled"
    assert exported_kernel(tmp_path, model, "--board", "native", *six) == "portable"
    assert exported_kernel(tmp_path, model, "--board", "uno", "--activation-bits", 8) == "unrolled"
    # Its front end is there in assembly, its layers are not.
    assert exported_kernel(tmp_path, model, "--board", "uno", "--format", "float16") == "asm"
    assert exported_kernel(tmp_path, model, "--board", "native", "--format", "float16") == "portable"


def test_code_that_does_not_fit_gives_way_to_tables(tmp_path: Path, capsys: Capture) -> None:
    model, wish = tmp_path / "wide.h5", ["--board", "uno", "--activation-bits", "6"]
    model_file.save(random_network(3, shape=(28, 28), hidden=24, classes=10, scale=0.002), model)
    assert exported_kernel(tmp_path, model, *wish) == "asm"
    capsys.readouterr()
    assert main(["export", str(model), *wish, "--kernel", "unrolled", "-o", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert re.search(r"found \d\d,\d{3} bytes .*need", said) and said.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--kernel", "unrolled", "--format", "float32"], "found float32 weights, need an integer format; leave"),
        (["--activation-bits", "6", "--format", "float32"], "found 6-bit activations, which are for integers"),
        (["--kernel", "asn"], "kernel: found 'asn' (did you mean asm?)"),
    ],
)
@pytest.mark.parametrize("command", ["export", "verify"])
def test_a_kernel_that_cannot_run_the_net_is_refused_in_one_line(
    trained: Model, tmp_path: Path, capsys: Capture, command: str, arguments: list[str], words: str
) -> None:
    model = trained("preconv-seed")
    more = ["-o", str(tmp_path / "out")] if command == "export" else ["--data", "usps"]
    capsys.readouterr()
    assert main([command, str(model), "--board", "uno", *more, *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_net_trained_for_six_bits_has_no_eight(tmp_path: Path, capsys: Capture) -> None:
    model, out = tmp_path / "narrow.h5", tmp_path / "out"
    model_file.save(random_network(shape=(16, 16), classes=10, top=63), model)
    assert main(["export", str(model), "--board", "uno", "--activation-bits", "8", "-o", str(out)]) == 2
    assert (
        "found 8 bits, need 6 bits, as the codes of its fixed front end have; choose those" in capsys.readouterr().err
    )


def test_a_board_tells_which_kernel_it_carries(trained: Model) -> None:
    model = trained("preconv-seed")
    answers = {kernel: identity(narrow(model, kernel)) for kernel in ("portable", "asm", "unrolled")}
    assert len({answer.model_hash for answer in answers.values()}) == 1
    crcs = [set(answer.weights_crcs) for answer in answers.values()]
    assert all(crcs[0] < other for other in crcs[1:])
    assert len(set.union(*crcs)) == 3


def test_hard_images_agree_as_well_as_digits(trained: Model, workbench: Workbench) -> None:
    random = np.random.default_rng(4)
    low, high = np.sort(random.integers(0, 256, (2, 60)), axis=0)
    noise = random.integers(low[:, None, None], high[:, None, None] + 1, (60, 16, 16)).astype(np.uint8)
    flat = np.repeat(np.arange(0, 256, 15, np.uint8), 256).reshape(-1, 16, 16)
    for kernel in ("asm", "unrolled"):
        workbench.measure(narrow(trained("preconv-seed"), kernel), BOARDS["uno"], np.concatenate([noise, flat]))
