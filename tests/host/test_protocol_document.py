"""docs/protocol.md says what host/link/wire.py does: every message, field, place, size, code and constant."""

import re
from dataclasses import fields

import pytest

from host.link import wire

PAYLOADS = (wire.Hello, wire.Ready, wire.Stats, wire.Ping, wire.Baud, wire.Output, wire.Refusal)
FROM_PAYLOAD = {
    "HELLO": wire.Hello,
    "READY": wire.Ready,
    "STATS_REPLY": wire.Stats,
    "PING": wire.Ping,
    "PONG": wire.Ping,
    "SET_BAUD": wire.Baud,
    "BAUD_SET": wire.Baud,
    "OUTPUT": wire.Output,
    "ERROR": wire.Refusal,
}


@pytest.fixture
def text(repository):
    return (repository / "docs/protocol.md").read_text(encoding="utf-8")


def table(text, heading):
    """The rows below a heading, header left out, each a list of its cells."""
    section = re.split(r"^#+ ", text.split(f"# {heading}\n")[1], flags=re.MULTILINE)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    assert len(rows) > 2, heading
    return rows[2:]


def test_every_message_with_its_type_and_length(text):
    rows = table(text, "Messages")
    assert {name: int(kind, 16) for name, kind, *_ in rows} == {kind.name: kind.value for kind in wire.MessageType}
    for name, kind, sender, size, payload in rows:
        assert sender == ("board" if int(kind, 16) & 0x80 else "host")
        if name in FROM_PAYLOAD:
            assert int(size) == FROM_PAYLOAD[name].size()
            assert re.split("[,;]", payload)[0] == FROM_PAYLOAD[name].__name__
    sizes = {name: size for name, _, _, size, _ in rows}
    assert (sizes["STATS"], sizes["IMAGE"], sizes["RESULT"]) == ("0", "height · width", "9 + 4 · (classes + marks)")
    assert wire.Result.size(10, 3) == 9 + 4 * (10 + 3)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_every_field_with_its_place_and_size(text, payload):
    rows = table(text, payload.__name__)
    assert [row[0] for row in rows] == [field.name for field in fields(payload)]
    # A value of ones in one field and zeros in all others shows where it lies.
    blank = {field.name: bytes(32) if field.type == "bytes" else 0 for field in fields(payload)}
    for name, at, size, _ in rows:
        ones = b"\xff" * int(size) if isinstance(blank[name], bytes) else (1 << 8 * int(size)) - 1
        packed = payload(**{**blank, name: ones}).pack()
        assert packed == bytes(int(at)) + b"\xff" * int(size) + bytes(payload.size() - int(at) - int(size))


def test_the_fields_of_a_result(text):
    at = {row[0]: (row[1], row[2]) for row in table(text, "RESULT")}
    assert list(at) == [field.name for field in fields(wire.Result)]
    packed = wire.Result(0xAA, 0x44332211, 0x88776655, (0x04030201, 0x14131211), (0x24232221,)).pack()
    assert packed.hex() == "aa" + "11223344" + "55667788" + "01020304" + "11121314" + "21222324"
    assert at == {
        "predicted": ("0", "1"),
        "digest": ("1", "4"),
        "ticks": ("5", "4"),
        "scores": ("9", "4 · classes"),
        "marks": ("9 + 4 · classes", "4 · marks"),
    }


@pytest.mark.parametrize(("heading", "names"), [("Error codes", wire.ErrorCode), ("Reset causes", wire.ResetCause)])
def test_codes(text, heading, names):
    assert {row[0]: int(row[1]) for row in table(text, heading)} == {one.name: one.value for one in names}


def test_constants(text):
    rows = {row[0]: row[1] for row in table(text, "Constants")}
    public = {
        name
        for name, value in vars(wire).items()
        if name.isupper() and not name.startswith("_") and isinstance(value, int | tuple)
    }
    assert set(rows) == public
    for name, shown in rows.items():
        value = getattr(wire, name)
        assert shown == (", ".join(map(str, value)) if isinstance(value, tuple) else str(value))


def test_the_version_in_the_title(text):
    assert text.startswith(f"# The wire protocol, version {wire.PROTOCOL_VERSION}\n")


def test_the_example_frame(text):
    line = wire.encode(wire.Frame(wire.MessageType.PING, 1, bytes(4)))
    shown = re.search(r"is on the line: `([^`]*)`", text)[1]
    assert line == bytes.fromhex(shown)


def test_bounds_and_waits_are_those_of_the_session(text):
    from host.link.timing import Timing

    timing = Timing()
    for words in (
        f"{timing.quiet_s} s of silence",
        f"up to {timing.quick_tries} times",
        f"After {timing.tries} tries",
        f"after {timing.failures} broken frames in a row",
        f"More than {timing.resets} resets",
        f"{timing.greetings} times to a board that has never sent a valid frame, else {timing.regreetings} times",
        f"after {timing.reply_s:g} s",
    ):
        assert words in " ".join(text.split()), words


def test_the_states_are_those_of_the_session(text):
    from host.link.session import State

    diagram = text.split("stateDiagram-v2")[1].split("```")[0]
    assert set(re.findall(r"\b[A-Z]{4,}\b(?= -->)|(?<=--> )\b[A-Z]{4,}\b", diagram)) == {one.name for one in State}
