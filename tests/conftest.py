"""Fixtures for every kind of test."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from counting import arrange, counted, group
from hypothesis import HealthCheck, settings
from needed import lacking

from host.link import avr_gcc

# No verdict of a property depends on how fast this machine finds one out.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--avr-gcc", metavar="VERSION|FOLDER", help="compile with this avr-gcc instead of the first on PATH"
    )


def pytest_configure(config: pytest.Config) -> None:
    """For all that is compiled: by PlatformIO, which `host` and the stand-ins give the folder, and by the tests."""
    if wanted := config.getoption("--avr-gcc"):
        os.environ[avr_gcc.VARIABLE] = wanted
        os.environ[avr_gcc.VARIABLE] = str(avr_gcc.chosen_folder())
        os.environ["PATH"] = avr_gcc.search_path()


def pytest_report_header() -> str:
    compiler = avr_gcc.compiler()
    return "avr-gcc: " + (f"{compiler.version}, {compiler.path}" if compiler else "none")


def pytest_itemcollected(item: pytest.Item) -> None:
    group(item)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    arrange(items)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    with counted(item.config, item.path):
        return (yield)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout's root."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for this run of pytest, shared by all its workers."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session", autouse=True)
def heeding_interrupts() -> Iterator[None]:
    """A shell starts what it puts in the background with Ctrl-C ignored, and what tests start would inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session", autouse=True)
def private_cache(run_folder: Path) -> Iterator[None]:
    """Builds go into this run's own cache: nothing old is taken for new, and nothing is left in the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIGITDUINO_CACHE", str(run_folder / "cache"))
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The directory with the genuine digits; without it a test skips with the reason, and fails in CI."""
    value = os.environ.get("DIGITDUINO_DATA")
    if not value or not Path(value).is_dir():
        lacking(f"DIGITDUINO_DATA: found {value or 'nothing'}, need the directory with usps.h5 and mnist/")
    return Path(value)


@pytest.fixture(scope="session")
def trained(run_folder: Path, real_data: Path) -> Callable[..., Path]:
    """`trained(preset, seed, data)` is the file of a network, trained once in a run of pytest."""
    from host.cli import main

    def model(preset: str, seed: int = 0, data: str = "usps") -> Path:
        path = run_folder / "models" / f"{preset}-{data}-{seed}.h5"
        with one_at_a_time(path):
            if not path.exists():
                arguments = ["--data", data, "--preset", preset, "--seed", str(seed)]
                faster = ["--no-rehearsal"] if preset.startswith("preconv") else []
                assert main(["train", *arguments, *faster, "-o", str(path)]) == 0
        return path

    return model


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Only one worker is in the block for this path; the system opens the lock of a worker that dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
