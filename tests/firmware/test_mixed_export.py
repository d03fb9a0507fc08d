"""A kill in the middle of an export leaves files of two; the compiler must not make one program of them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from firmware_build import LIB, ROOT
from needed import need

from host.compile.boards import BOARDS
from host.compile.exports import export_for
from host.compile.render import RENDERED, write_headers
from host.modelfile import file as model_file
from host.nn.formats import WeightFormat

EXPORTS = {
    "old": (WeightFormat.INT8, "portable"),
    "new": (WeightFormat.FLOAT16, "portable"),
    "code": (WeightFormat.INT8, "unrolled"),
}


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one of the EXPORTS in each of its folders."""
    folder = tmp_path_factory.mktemp("exports")
    network = model_file.load(ROOT / "firmware/model/default.h5")
    for name, (format_, kernel) in EXPORTS.items():
        write_headers(export_for(network, format_, BOARDS["uno"], kernel), folder / name)
    return folder


def complaint(source: str, folder: Path) -> str:
    """What avr-gcc says of a file of lib/app; nothing if it compiles."""
    compiler = need("avr-gcc", "gcc-avr avr-libc")
    includes = [f"-I{place}" for place in (LIB / "nn", LIB / "wire", LIB / "app", folder)]
    command = [
        compiler,
        "-mmcu=atmega328p",
        "-Os",
        "-std=gnu99",
        "-c",
        LIB / "app" / source,
        *includes,
        "-o",
        "/dev/null",
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


@pytest.mark.parametrize("name", EXPORTS)
def test_the_files_of_one_export_compile(exports: Path, name: str) -> None:
    assert complaint("app_net.c", exports / name) == complaint("app_net_code.S", exports / name) == ""


@pytest.mark.parametrize("new", ["new", "code"])
@pytest.mark.parametrize("moved", range(1, len(RENDERED)))
def test_files_of_two_exports_do_not(exports: Path, tmp_path: Path, new: str, moved: int) -> None:
    """As a kill behind the first `moved` renames leaves them."""
    mixture = tmp_path / "model"
    shutil.copytree(exports / "old", mixture)
    for name in RENDERED[:moved]:
        shutil.copy(exports / new / name, mixture)
    said = complaint("app_net.c", mixture) + complaint("app_net_code.S", mixture)
    assert "are of two exports: run `host export` again" in said
