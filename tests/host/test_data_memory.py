"""A small file cannot make its reader take much memory, whatever it declares."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from host.data.memory import bounded_memory

DAMAGED_HEAP = "6f1a8543a0dc3e674ab85d9b7144a3f534cbb9f3"
"""Found by fuzzing: libhdf5 allocates 4 GiB for it."""
READ = """
import re, sys
from pathlib import Path
from host import data
from host.modelfile import file as model
from host.errors import InputError
read = {"data": data.load, "model": lambda name: model.load(Path(name))}[sys.argv[1]]
try:
    read("damaged.h5")
except InputError as error:
    print(error)
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024)
"""
"""ru_maxrss would count the process that started this one."""


@pytest.mark.parametrize("reader", ["data", "model"])
def test_a_damaged_heap_takes_no_gigabytes(tmp_path: Path, repository: Path, reader: str) -> None:
    shutil.copy(repository / "firmware/fuzz/corpus/hdf5" / DAMAGED_HEAP, tmp_path / "damaged.h5")
    command = [sys.executable, "-c", READ, reader]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(repository)}, capture_output=True, text=True, check=True
    )
    said, mebibytes = done.stdout.splitlines()
    assert "damaged.h5" in said
    assert int(mebibytes) < 512


def test_the_limit_holds_in_the_block_alone(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"x")
    before = resource.getrlimit(resource.RLIMIT_AS)
    with bounded_memory(tmp_path / "small"), pytest.raises(MemoryError):
        bytearray(1 << 31)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    assert len(bytearray(1 << 30)) == 1 << 30


def test_a_limit_of_the_users_own_stays(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"x")
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    own = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + (1 << 26)
    resource.setrlimit(resource.RLIMIT_AS, (own, hard))
    try:
        with bounded_memory(tmp_path / "small"):
            assert resource.getrlimit(resource.RLIMIT_AS)[0] == own
        assert resource.getrlimit(resource.RLIMIT_AS)[0] == own
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
