"""What watches over the program on the chip: firmware that hangs on purpose, and firmware whose stack is too deep."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from commands import LIMIT_S
from firmware_build import ROOT
from needed import need

from host.compile.boards import BOARDS
from host.compile.export import Export
from host.compile.exports import export_for
from host.errors import DeviceError
from host.link import wire
from host.link.boards import connect_board
from host.link.build import Built
from host.link.project import stage_project
from host.link.run import Outcome, identity, stream
from host.link.timing import Timing
from host.link.transport import Transport
from host.modelfile import file as model_file
from host.nn.formats import WeightFormat
from host.quantise.reference import infer

UNO = BOARDS["uno"]
ANCHOR = "    const uint8_t predicted = app_net_infer(image_of(app));\n"
IMAGES = np.random.default_rng(0).integers(0, 256, (12, 16, 16), np.uint8)

HANG = 'if (app->frames == 5{unless}) for (;;) __asm__ volatile("");'
HANG_ONCE = HANG.format(unless=" && port->reset_cause(port->context) != WIRE_RESET_WATCHDOG")
HANG_ALWAYS = HANG.format(unless="")
DIG = (
    "if (app->frames == 5) { extern uint8_t __heap_start[];"
    " for (volatile uint8_t *at = (uint8_t *)*(volatile uint16_t *)0x5D; at >= __heap_start; at--) *at = 0; }"
)


@pytest.fixture(scope="module")
def exported() -> Export:
    return export_for(model_file.load(ROOT / "firmware/model/default.h5"), WeightFormat.INT8, UNO, "asm")


def build_variant(project: Path, exported: Export, planted: str, flags: str = "") -> Built:
    """The firmware with a statement planted before each inference."""
    need("avr-gcc", "gcc-avr avr-libc")
    stage_project(exported, project)
    source = project / "firmware/lib/app/app.c"
    text = source.read_text()
    assert text.count(ANCHOR) == 1
    source.write_text(text.replace(ANCHOR, f"    {planted}\n{ANCHOR}"))
    command = [sys.executable, "-m", "platformio", "run", "-s", "-d", str(project), "-e", "uno"]
    environment = {**os.environ, "PLATFORMIO_BUILD_FLAGS": flags}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return Built(project / ".pio/build/uno", None, None)


def run(built: Built, exported: Export, timing: Timing | None = None) -> Outcome:
    with connect_board(UNO, built) as line:
        return stream(line.transport, [image.tobytes() for image in IMAGES], [identity(exported)], timing=timing)


def assert_right(outcome: Outcome, exported: Export) -> None:
    reference = infer(exported.graph, IMAGES)
    assert [result.predicted for result in outcome.results] == reference.classes.tolist()
    assert np.array_equal(np.array([result.scores for result in outcome.results], np.uint32), reference.words)


def ask_for_stats(line: Transport) -> wire.Stats:
    """What the board answers, however long a busy machine lets it take; the first thing it says must be that."""
    line.write(wire.DELIMITER + wire.encode(wire.Frame(wire.MessageType.STATS, 7, b"")))
    splitter, limit = wire.FrameSplitter(), time.monotonic() + LIMIT_S
    while time.monotonic() < limit:
        for piece in splitter.feed(line.read(1.0)):
            frame = wire.decode(piece)
            assert frame.type == wire.MessageType.STATS_REPLY
            return wire.Stats.unpack(frame.payload)
    pytest.fail(f"no answer in {LIMIT_S} s")


def test_a_program_that_hangs_begins_anew_and_the_run_goes_on(tmp_path: Path, exported: Export) -> None:
    outcome = run(build_variant(tmp_path, exported, HANG_ONCE), exported)
    assert_right(outcome, exported)
    assert outcome.ready.reset_cause == wire.ResetCause.WATCHDOG
    assert outcome.counters.resets == 1


def test_a_program_that_hangs_again_and_again_is_reported(tmp_path: Path, exported: Export) -> None:
    built = build_variant(tmp_path, exported, HANG_ALWAYS, "-DBOARD_WATCHDOG=WDTO_60MS")
    with pytest.raises(DeviceError, match="watchdog"):
        run(built, exported, Timing(resets=3))


def test_the_watchdog_lets_a_board_alone_that_has_nothing_to_do(tmp_path: Path, exported: Export) -> None:
    """Four periods of silence by the board's clock, asleep; a restart would set that back and say READY."""
    built = build_variant(tmp_path, exported, "", "-DBOARD_WATCHDOG=WDTO_250MS")
    with connect_board(UNO, built) as line:
        outcome = stream(line.transport, [IMAGES[0].tobytes()], [identity(exported)])
        uptime_us = outcome.stats.uptime_us
        limit = time.monotonic() + LIMIT_S
        while uptime_us - outcome.stats.uptime_us <= 1_000_000 and time.monotonic() < limit:
            assert line.transport.read(1.0) == b""
            uptime_us = ask_for_stats(line.transport).uptime_us
    assert uptime_us - outcome.stats.uptime_us > 1_000_000


def test_a_stack_that_runs_into_the_variables_ends_the_run(tmp_path: Path, exported: Export) -> None:
    """What was recorded before stands; from then on nothing is."""
    built = build_variant(tmp_path, exported, DIG)
    recorded: list[int] = []
    images = [image.tobytes() for image in IMAGES]
    with connect_board(UNO, built) as line, pytest.raises(DeviceError, match="STACK_OVERFLOW"):
        stream(line.transport, images, [identity(exported)], progress=lambda done, _: recorded.append(done))
    assert recorded and recorded[-1] < len(images)
