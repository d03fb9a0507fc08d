"""The journal: what it keeps of a run that ends at any byte, and what it refuses to go on with."""

import os
import random
import signal
import subprocess
import sys
import zlib

import pytest
from fake_board import ready

from host.errors import InputError, PortError
from host.link import wire
from host.link.journal import open_journal
from host.link.lock import port_lock

COUNT = 20
FACTS = {"model": "ab" * 32, "dataset": "usps", "n": COUNT, "board": "uno"}
RESULTS = [wire.Result(k % 3, k * 77777, 1000 + k, (k, 2 * k, 0xFFFFFFFF - k)) for k in range(COUNT)]


def write(path, results=RESULTS, facts=FACTS, **changes):
    with open_journal(path, facts, COUNT, resume=False) as journal:
        journal.meet(ready(**changes))
        for index, result in enumerate(results):
            journal.record(index, result)
    return path


def known(path, facts=FACTS):
    with open_journal(path, facts, COUNT, resume=True) as journal:
        journal.meet(ready())
        return dict(journal.known)


def test_what_was_recorded_is_known_again(tmp_path):
    path = write(tmp_path / "deep" / "run.journal", RESULTS[:7])
    for _ in range(2):
        assert known(path) == dict(enumerate(RESULTS[:7]))


def test_marks_come_back_too(tmp_path):
    results = [wire.Result(1, 2, 3, (4, 5, 6), (7, 8))]
    path = write(tmp_path / "run.journal", results, marks=2)
    with open_journal(path, FACTS, COUNT, resume=True) as journal:
        assert journal.known == {0: results[0]}


def test_a_run_that_ends_at_any_byte_loses_at_most_the_line_it_was_writing(tmp_path):
    path = write(tmp_path / "run.journal", RESULTS[:4])
    whole = path.read_bytes()
    ends = [at + 1 for at, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        complete = sum(end <= cut for end in ends)
        assert known(path) == dict(enumerate(RESULTS[: max(0, complete - 2)]))
        assert not path.exists() or path.read_bytes() == whole[: ends[max(complete, 2) - 1]]


def test_a_torn_line_is_written_over_by_the_next_run(tmp_path):
    path = write(tmp_path / "run.journal", RESULTS[:5])
    path.write_bytes(path.read_bytes()[:-9])
    with open_journal(path, FACTS, COUNT, resume=True) as journal:
        journal.meet(ready())
        for index in range(4, COUNT):
            journal.record(index, RESULTS[index])
    assert known(path) == dict(enumerate(RESULTS))


def test_a_journal_without_results_leaves_no_file(tmp_path):
    path = write(tmp_path / "run.journal", [])
    assert not path.exists()


def test_without_resume_it_begins_anew(tmp_path):
    path = write(tmp_path / "run.journal")
    write(path, RESULTS[:1])
    assert known(path) == {0: RESULTS[0]}


def test_every_flipped_bit_in_the_middle_is_noticed(tmp_path):
    path = write(tmp_path / "run.journal")
    whole = path.read_bytes()
    dice = random.Random(1)
    last_line = whole.rindex(b"\n", 0, -1)
    for _ in range(300):
        spoiled = bytearray(whole)
        spoiled[dice.randrange(last_line)] ^= 1 << dice.randrange(8)
        path.write_bytes(spoiled)
        with pytest.raises(InputError, match=r"start anew|is no journal"):
            known(path)


@pytest.mark.parametrize("name", FACTS)
def test_another_run_is_refused_by_what_differs(tmp_path, name):
    path = write(tmp_path / "run.journal")
    with pytest.raises(InputError, match=f"journal: {name}: found other, need .* as before; run without --resume"):
        known(path, {**FACTS, name: "other"})
    assert known(path) == dict(enumerate(RESULTS)), "a refusal costs nothing"


@pytest.mark.parametrize("change", [{"model_hash": bytes(8)}, {"weights_crc": 5}, {"board": b"other"}, {"format": 1}])
def test_another_board_is_refused(tmp_path, change):
    path = write(tmp_path / "run.journal", **change)
    with pytest.raises(InputError, match=r"journal: board: .* as before; run without --resume"):
        known(path)


def line(text):
    return f"{zlib.crc32(text.encode()):08x} {text}\n".encode()


@pytest.mark.parametrize(
    "tail",
    ['[20,"00"]', '[3,"zz"]', "[3]", "7", "null", "{}", '[[1],"00"]', '[-1,""]', "not json", '[true,"00"]'],
)
def test_lines_that_no_run_writes_are_refused(tmp_path, tail):
    path = write(tmp_path / "run.journal", RESULTS[:3])
    path.write_bytes(path.read_bytes() + line(tail) + line(tail))
    with pytest.raises(InputError, match="line 6: no journal's"):
        known(path)


@pytest.mark.parametrize("content", [line("{}"), line("[]"), b"\0" * 999 + b"\n\n", line('{"journal":99,"facts":{}}')])
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "run.journal"
    path.write_bytes(content + line("1"))
    with pytest.raises(InputError, match=r"start anew|is no journal"):
        known(path)


def test_a_result_twice_is_refused(tmp_path):
    path = write(tmp_path / "run.journal", RESULTS[:3])
    path.write_bytes(path.read_bytes() + path.read_bytes().splitlines(keepends=True)[-1] + line("1"))
    with pytest.raises(InputError, match="line 6"):
        known(path)


def test_two_runs_cannot_write_one_journal(tmp_path):
    path = tmp_path / "run.journal"
    opening = open_journal(path, FACTS, COUNT, resume=False)
    with opening, pytest.raises(InputError, match=f"another run writes this journal, process {os.getpid()}; wait"):
        write(path)


HOLDER = """
import sys, time
from host.link.lock import port_lock
with port_lock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(3600)
"""


def test_a_port_in_use_is_refused_with_the_others_process_id_and_free_when_it_is_killed(tmp_path, monkeypatch):
    monkeypatch.setenv("DIGITDUINO_CACHE", str(tmp_path))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", HOLDER, "/dev/ttyX0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as holder:
        try:
            assert holder.stdout.readline() == b"held\n"
            with pytest.raises(PortError, match=f"/dev/ttyX0: in use by process {holder.pid}, another"):
                port_lock("/dev/ttyX0").__enter__()
            with port_lock("/dev/ttyX1"):
                pass
        finally:
            holder.send_signal(signal.SIGKILL)
    with port_lock("/dev/ttyX0"):
        pass
