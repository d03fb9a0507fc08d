"""`host` as processes: a simulated board for other programs; Ctrl-C, SIGTERM and SIGKILL, and what they leave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import LIMIT_S, descendants, exported, program_of, run_host, simulated, start_host, wait_until

from host.compile.boards import BOARDS
from host.link.build import build_firmware

Model = Callable[..., Path]
BOARD_PROGRAMS = ("simboard", "program")


@pytest.fixture
def elf(trained: Model) -> Path:
    """Firmware that carries the float16 form of `preconv`."""
    return build_firmware(exported(trained("preconv"), "float16"), BOARDS["uno"]).program


def boards_of(process: subprocess.Popen[str]) -> list[int]:
    return [found for found in descendants(process.pid) if program_of(found) in BOARD_PROGRAMS]


def running_board(process: subprocess.Popen[str]) -> int:
    """The board's process, once it is there."""
    wait_until(lambda: boards_of(process) or process.poll() is not None, "no board was started", LIMIT_S)
    assert process.poll() is None, process.communicate()
    return boards_of(process)[0]


def assert_ends(board: int) -> None:
    wait_until(lambda: program_of(board) not in BOARD_PROGRAMS, f"the board, process {board}, still runs")


def verify_on(port: str, model: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return run_host("verify", model, "--data", "usps", "--port", port, "--json", "-", *arguments)


def test_verify_finds_the_format_of_a_board_that_another_process_simulates(elf: Path, trained: Model) -> None:
    with simulated(elf) as (port, process):
        board = running_board(process)
        done = verify_on(port, trained("preconv"), "--limit", 200, "--baud", 500_000)
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        assert result["model"]["format"] == "float16"
        assert result["board"].items() >= {"kind": "port", "mcu": "atmega328p", "port": port}.items()
        assert result["agreement"]["scores_equal"] == 200
        assert 0 < result["link"]["images_per_s"] <= 1.001 * result["link"]["line_limit_images_per_s"]
        assert result["memory"]["ram_static"] + result["memory"]["stack_max"] + result["memory"]["ram_free_min"] == 2048
        # The port serves one client after the other.
        assert verify_on(port, trained("preconv"), "--limit", 5, "--format", "float16").returncode == 0
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=LIMIT_S)
        assert (process.returncode, output, errors) == (0, "ended\n", "")
        assert_ends(board)


def test_another_model_or_format_than_the_flashed_one_is_refused(elf: Path, trained: Model) -> None:
    with simulated(elf) as (port, _):
        done = verify_on(port, trained("preconv-seed"), "--format", "float16")
        assert (done.returncode, done.stdout) == (3, "")
        assert "board: model: found " in done.stderr and "export this model and flash it" in done.stderr
        done = verify_on(port, trained("preconv"), "--format", "float32")
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_simulated_board_ends_with_its_host(elf: Path, number: signal.Signals) -> None:
    with simulated(elf) as (_, process):
        board = running_board(process)
        process.send_signal(number)
        assert process.wait(LIMIT_S) == (0 if number == signal.SIGTERM else -number)
        assert_ends(board)


def test_a_board_that_dies_ends_the_simulation_with_its_words(elf: Path) -> None:
    with simulated(elf) as (_, process):
        os.kill(running_board(process), signal.SIGKILL)
        errors = process.communicate(timeout=LIMIT_S)[1]
        assert process.returncode == 3
        assert errors.startswith("host: simulated board: ended: ") and errors.count("\n") == 1


def test_a_board_that_dies_while_verified_is_a_link_failure(elf: Path, trained: Model) -> None:
    arguments = ["--data", "usps", "--board", "uno", "--format", "float16"]
    with start_host("verify", trained("preconv"), *arguments) as process:
        os.kill(running_board(process), signal.SIGKILL)
        errors = process.communicate(timeout=LIMIT_S)[1]
    assert process.returncode == 3
    assert errors.startswith("host: simulated board: ") and errors.count("\n") == 1, errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("board", ["uno", "native"])
def test_an_interrupted_verify_says_so_and_leaves_no_board(
    trained: Model, elf: Path, tmp_path: Path, board: str, number: signal.Signals
) -> None:
    target = tmp_path / "result.json"
    arguments = ["--data", "usps", "--split", "train", "--board", board, "--format", "float16", "--json", target]
    with start_host("verify", trained("preconv"), *arguments) as process:
        running = running_board(process)
        # As at a terminal, where Ctrl-C reaches the whole foreground group.
        os.killpg(process.pid, number)
        errors = process.communicate(timeout=LIMIT_S)[1]
    assert (process.returncode, errors) == (130, "host: interrupted\n")
    assert_ends(running)
    assert not target.exists()


def test_a_killed_verify_leaves_no_board(trained: Model, elf: Path) -> None:
    arguments = ["--data", "usps", "--board", "uno", "--format", "float16"]
    with start_host("verify", trained("preconv"), *arguments) as process:
        running = running_board(process)
        process.kill()
        process.wait(LIMIT_S)
    assert_ends(running)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_build_leaves_neither_compilers_nor_files(
    trained: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setenv("DIGITDUINO_CACHE", str(tmp_path))
    arguments = ["--data", "usps", "--board", "uno", "--kernel", "portable"]
    with start_host("verify", trained("preconv"), *arguments) as process:
        wait_until(
            lambda: process.poll() is not None or any(program_of(one) == "cc1" for one in descendants(process.pid)),
            "nothing was compiled",
            LIMIT_S,
        )
        assert process.poll() is None
        started = descendants(process.pid)
        process.send_signal(number)
        errors = process.communicate(timeout=LIMIT_S)[1]
    assert (process.returncode, errors) == (130, "host: interrupted\n")
    wait_until(lambda: not any(map(program_of, started)), "the build still runs")
    assert list((tmp_path / "builds").iterdir()) == []
