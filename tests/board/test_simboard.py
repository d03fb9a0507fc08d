"""The simulated board against the chip's data sheet and a real serial adapter's behaviour."""

from __future__ import annotations

import itertools
import random
import signal
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import serial
from needed import lacking, need
from patience import LIMIT_S

Avr = Callable[..., Path]
# Divisor (UBRR0) to nominal baud rate at 16 MHz with U2X; 115200 is really 117647.
RATES = {16: 115200, 3: 500000, 1: 1000000}
RXC, FE, DOR = 0x80, 0x10, 0x08
EXTRF, PORF, WDRF = 2, 1, 8


def exchange(port: serial.Serial, sent: bytes) -> bytes:
    """What comes back while `sent` goes out."""
    writer = threading.Thread(target=port.write, args=(sent,))
    writer.start()
    received = port.read(len(sent))
    writer.join()
    return bytes(received)


@pytest.mark.parametrize("divisor", RATES)
@pytest.mark.parametrize("mcu", ["atmega328p", "atmega1284p", "atmega2560"])
def test_echoes_ten_thousand_random_bytes_without_a_loss(start: Callable, avr: Avr, mcu: str, divisor: int) -> None:
    board = start(avr("echo", mcu, DIVISOR=divisor), mcu=mcu)
    sent = random.Random(divisor).randbytes(10_000)
    assert exchange(board.open(RATES[divisor]), sent) == sent
    report = board.stop()
    assert (report["bytes_in"], report["resets"]) == (10_000, 1)
    assert 10_001 <= report["bytes_out"] <= 10_002  # `!` at power-on may be cut short by the reset
    assert report["overruns"] == report["framing_errors"] == report["garbled"] == 0
    assert report["simulated_s"] >= 10_000 * 10 / 118_000 * 115200 / RATES[divisor]


@pytest.mark.parametrize(("divisor", "cycles"), [(3, 320.0), (1, 160.0), (16, 16e6 * 10 / 115200)])
def test_received_bytes_are_spaced_by_ten_bits_of_the_host(
    start: Callable, avr: Avr, divisor: int, cycles: float
) -> None:
    port = start(avr("rx_times", DIVISOR=divisor)).open(RATES[divisor])
    port.write(bytes(range(32)))
    times = struct.unpack("<31H", port.read(62))
    assert all(abs(time - cycles) < 1 for time in times)
    assert abs(sum(times) - 31 * cycles) <= 1


def test_transmitter_interrupts_come_when_the_data_sheet_says(start: Callable, avr: Avr) -> None:
    port = start(avr("tx_times")).open(500000)
    port.write(b"?")
    assert port.read(8) == bytes(range(8))
    *udre, txc = struct.unpack("<9H", port.read(18))
    # The first byte goes straight into the shift register, so the second is asked for at once; then one every frame.
    assert udre[0] < 100
    frames = [later - earlier for earlier, later in itertools.pairwise(udre[1:])]
    assert all(abs(cycles - 320) <= 2 for cycles in frames)
    assert abs(txc - 8 * 320) < 100
    assert port.read(2) == bytes([1, 0])  # one TXC interrupt, and serving it cleared its flag


def late_bytes(start: Callable, avr: Avr, sent: bytes) -> tuple[list[tuple[int, int]], float]:
    board = start(avr("late_reader", WAIT_MS=5))
    port = board.open(500000)
    port.write(sent)
    pairs = port.read_until(b"\xee")[:-1]
    return list(zip(pairs[::2], pairs[1::2], strict=True)), board.stop()["overruns"]


def test_three_unread_bytes_are_kept(start: Callable, avr: Avr) -> None:
    assert late_bytes(start, avr, b"abc") == ([(RXC, ord("a")), (RXC, ord("b")), (RXC, ord("c"))], 0)


def test_a_fourth_unread_byte_replaces_the_third_and_sets_the_overrun_flag(start: Callable, avr: Avr) -> None:
    assert late_bytes(start, avr, b"abcd") == ([(RXC | DOR, ord("a")), (RXC, ord("b")), (RXC, ord("d"))], 1)


def test_of_many_unread_bytes_the_first_two_and_the_last_are_kept(start: Callable, avr: Avr) -> None:
    assert late_bytes(start, avr, b"abcdefgh") == ([(RXC | DOR, ord("a")), (RXC, ord("b")), (RXC, ord("h"))], 5)


def has_started(report: dict[str, float]) -> bool:
    """Whether a board whose port is open at another rate has said `!`."""
    return report["garbled"] > 0


@pytest.mark.parametrize("host_baud", [115200, 250000, 9600, 460800])
def test_a_wrong_baud_rate_garbles_and_the_right_one_heals(start: Callable, avr: Avr, host_baud: int) -> None:
    board = start(avr("echo"))
    sent = bytes(range(1, 200))
    with serial.Serial(board.port, host_baud, timeout=0.3) as port:
        greeted = board.reports(has_started)["garbled"]
        port.write(sent)
        board.reports(lambda report: report["garbled"] > greeted)
        assert port.read(1000) != sent
    port = board.open(500000)
    assert exchange(port, sent) == sent
    assert board.stop()["garbled"] > 0


def test_too_slow_a_host_causes_framing_errors(start: Callable, avr: Avr) -> None:
    board = start(avr("framing"))
    with serial.Serial(board.port, 115200) as port:
        board.reports(has_started)
        port.write(b"\x00" * 20)
        board.reports(lambda report: report["framing_errors"] >= 20)
    assert board.stop()["framing_errors"] == 20  # 9 low bits at 115200 are a break at 500000


def test_garbling_is_the_same_every_time(start: Callable, avr: Avr) -> None:
    heard = []
    for _ in range(2):
        board = start(avr("echo"))
        with serial.Serial(board.port, 230400) as port:
            started = board.reports(has_started)
            port.write(b"hello")
            # Simulated time, of which the bytes take less than a hundredth.
            board.reports(lambda report, since=started["simulated_s"]: report["simulated_s"] > since + 0.1)
            heard.append(port.read(port.in_waiting))
    assert heard[0] == heard[1]
    assert heard[0]


def test_any_baud_switches_the_check_off(start: Callable, avr: Avr) -> None:
    port = start(avr("echo"), "--any-baud").open(9600)
    assert exchange(port, b"hello") == b"hello"


def test_a_program_that_sets_no_rate_is_understood(start: Callable, avr: Avr) -> None:
    board = start(avr("echo"))
    with Path(board.port).open("r+b", buffering=0) as port:
        assert port.read(1) == b"!"
        port.write(b"x")
        assert port.read(1) == b"x"


def test_opening_the_port_resets_and_keeps_the_memory(start: Callable, avr: Avr) -> None:
    board = start(avr("boots"))
    boots, cause = board.open(500000).read(2)
    assert cause & EXTRF  # with PORF where the port was opened before the program could clear that
    board.close()
    assert board.open(500000).read(2) == bytes([boots + 1, EXTRF])


def test_reset_causes_add_up_until_the_program_clears_them(start: Callable, avr: Avr) -> None:
    board = start(avr("boots", KEEP_MCUSR=1))
    assert board.open(500000).read(2)[1] == EXTRF | PORF


def test_the_watchdog_resets_the_board_under_an_open_port(start: Callable, avr: Avr) -> None:
    board = start(avr("boots"))
    port = board.open(500000)
    boots, _ = port.read(2)
    port.write(b"?")
    assert port.read(3) == bytes([ord("!"), boots + 1, WDRF])
    assert board.stop()["resets"] == 2


def test_closing_and_opening_at_once_resets_again(start: Callable, avr: Avr) -> None:
    board = start(avr("boots"))
    boots = board.open(500000).read(2)[0]
    for more in range(1, 4):
        board.close()
        assert board.open(500000).read(2)[0] == boots + more


def test_what_is_sent_before_the_board_has_started_is_lost(start: Callable, avr: Avr) -> None:
    board = start(avr("echo"))
    with serial.Serial(board.port, 500000, timeout=LIMIT_S) as port:
        port.write(b"too early")
        assert port.read(1) == b"!"
        port.write(b"x")
        assert port.read(1) == b"x"
        assert board.stop()["bytes_in_reset"] == 9


def test_a_second_opening_of_an_open_port_does_not_reset(start: Callable, avr: Avr) -> None:
    board = start(avr("echo"))
    port = board.open(500000)
    with serial.Serial(board.port, 500000):
        assert exchange(port, b"still here") == b"still here"
    assert exchange(port, b"and now") == b"and now"
    assert board.stop()["resets"] == 1


def test_what_nobody_heard_is_not_kept_for_the_next(start: Callable, avr: Avr) -> None:
    board = start(avr("ticker"))
    board.reports(lambda report: report["bytes_unheard"] > 0)
    assert board.open(500000).read(1) == b"t"  # after `!` at once: no backlog before it
    assert board.stop()["bytes_unheard"] > 0


def test_a_sleeping_board_keeps_wall_clock_time(start: Callable, avr: Avr) -> None:
    simulator = start(avr("ticker"))
    began = time.monotonic()
    assert simulator.open(500000).read(60) == b"t" * 60
    assert time.monotonic() - began > 59 * 0.0327  # never faster; how much slower depends on the PC


def test_time_stands_still_while_the_host_thinks(start: Callable, avr: Avr) -> None:
    port = start(avr("turnaround")).open(500000)
    waits = []
    for _ in range(21):
        port.write(b"?")
        waits.append(struct.unpack("<H", port.read(2))[0] * 8)  # from the end of its last byte to the request
        time.sleep(0.002)  # 32,000 cycles
    assert sorted(waits)[10] < 2 * 320 + 200


@pytest.mark.parametrize(
    ("request_byte", "reason"),
    [
        (b"o", "Invalid Opcode"),
        (b"w", "out of ram"),
        (b"s", "the stack ran through all of RAM"),
        (b"j", "end of flash"),
    ],
)
def test_a_crash_ends_with_one_line_and_code_3(start: Callable, avr: Avr, request_byte: bytes, reason: str) -> None:
    board = start(avr("crash"))
    board.open(500000).write(request_byte)
    code, errors = board.wait()
    assert code == 3
    assert errors.startswith("simboard: the program crashed at pc 0x")
    assert reason in errors
    assert errors.count("\n") == 1


def test_a_program_that_halts_waits_for_the_next_reset(start: Callable, avr: Avr) -> None:
    board = start(avr("crash"))
    board.open(500000).write(b"h")
    time.sleep(0.1)
    board.close()
    assert board.open(500000).is_open
    assert board.process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(start: Callable, avr: Avr, number: int) -> None:
    board = start(avr("echo"))
    board.open(500000)
    board.process.send_signal(number)
    assert board.wait() == (0, "")
    assert not Path(board.port).exists()


def test_sigusr1_writes_a_report_and_goes_on(start: Callable, avr: Avr) -> None:
    board = start(avr("echo"))
    port = board.open(500000)
    assert exchange(port, b"abc") == b"abc"
    assert board.reports(lambda report: True)["bytes_in"] == 3
    assert exchange(port, b"def") == b"def"
    assert board.stop()["bytes_in"] == 6


def hex_record(address: int, data: bytes, kind: int = 0) -> str:
    body = bytes([len(data), address >> 8, address & 0xFF, kind]) + data
    return ":" + (body + bytes([-sum(body) & 0xFF])).hex().upper() + "\n"


END = hex_record(0, b"", 1)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "found no readable file"),
        (b"", "found no readable file"),
        (b"MZ", "neither an ELF magic nor an Intel hex record"),
        (b"\x7fELF" + bytes(60), "found ELF machine 0"),
        (b":zz\n", "Intel hex record 1"),
        (b":0400000001020304F3\n", "Intel hex record 1"),
        (hex_record(0, b"ab").encode(), "no end record"),
        (END.encode(), "no bytes for flash"),
        ((hex_record(0, b"\0\1", 4) + hex_record(0, b"ab") + END).encode(), "flash: found code up to 0x10002"),
    ],
)
def test_a_bad_image_is_refused_in_one_line(
    simulators: Path, tmp_path: Path, content: bytes | None, complaint: str
) -> None:
    image = tmp_path / "image"
    if content is not None:
        image.write_bytes(content)
    command = [simulators / "simboard", "--mcu", "atmega328p", "--elf", image]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert result.returncode == 2
    assert result.stderr.startswith(f"simboard: {image}: ")
    assert complaint in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_truncated_elf_is_refused(simulators: Path, avr: Avr, tmp_path: Path) -> None:
    image = tmp_path / "image.elf"
    image.write_bytes(avr("echo").read_bytes()[:200])
    command = [simulators / "simboard", "--mcu", "atmega328p", "--elf", image]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert (result.returncode, "ELF: found a file of 200 bytes" in result.stderr) == (2, True)


def test_an_unknown_mcu_is_refused(simulators: Path, avr: Avr) -> None:
    command = [simulators / "simboard", "--mcu", "z80", "--elf", avr("echo")]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert (result.returncode, result.stderr) == (
        2,
        "simboard: --mcu: found z80, need one that libsimavr knows, such as atmega328p\n",
    )


def test_a_missing_libsimavr_names_the_package(repository: Path, tmp_path: Path) -> None:
    command = ["make", "-s", "-C", str(repository / "firmware/sim"), f"BUILD={tmp_path}", "SIMAVR_CFLAGS="]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert result.returncode != 0
    assert "install the package libsimavr-dev" in result.stderr.splitlines()[0]


def test_avrdude_flashes_through_optiboot(simulators: Path, start: Callable, avr: Avr, tmp_path: Path) -> None:
    """Debian's optiboot_atmega328.hex has 532 bytes, too many for its 512; without LED flashes its source fits."""
    source = Path("/usr/share/arduino/hardware/arduino/avr/bootloaders/optiboot/optiboot.c")
    need("avrdude", "avrdude")
    if not source.exists():
        lacking(f"{source}: not found; apt install arduino-core-avr")
    boot, image = tmp_path / "optiboot.elf", tmp_path / "echo.hex"
    flags = "-w -Os -fno-inline-small-functions -fno-split-wide-types -mrelax -mmcu=atmega328p -nostartfiles -nostdlib"
    sections = ["-Wl,--section-start=.text=0x7e00", "-Wl,--section-start=.version=0x7ffe"]
    settings = ["-DF_CPU=16000000L", "-DLED_START_FLASHES=0", "-DBAUD_RATE=115200"]
    subprocess.run(["avr-gcc", *flags.split(), *settings, *sections, source, "-o", boot], check=True)
    subprocess.run(["avr-objcopy", "-O", "ihex", avr("echo"), image], check=True)
    board = start(boot, "--bootloader", boot, "--realtime")
    flash = ["avrdude", "-q", "-c", "arduino", "-p", "m328p", "-P", board.port, "-b", "115200", "-D"]
    upload = subprocess.run(
        [*flash, "-U", f"flash:w:{image}:i"], capture_output=True, text=True, check=False, timeout=LIMIT_S
    )
    assert upload.returncode == 0, upload.stderr
    assert "bytes of flash verified" in upload.stderr
    port = board.open(500000)  # after the bootloader's second, the program
    assert exchange(port, b"flashed") == b"flashed"
