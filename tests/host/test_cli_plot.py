"""`host plot` as a command: files that decode, the same bytes twice, and refusals that leave nothing behind."""

import json
import subprocess
import sys

import numpy as np
import pytest
from commands import surroundings
from networks import network_of, random_network
from test_plot_figures import report

from host.cli import main
from host.modelfile import file as model_file
from host.report.plots.canvas import DOTS_PER_INCH

MODEL_PICTURES = {"loss", "kernels", "maps", "recall", "confusion", "preconv"}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory with a model of each family, and a report."""
    monkeypatch.chdir(tmp_path)
    model_file.save(random_network(shape=(16, 16), classes=10, preset="preconv"), tmp_path / "m.h5")
    model_file.save(network_of("padded"), tmp_path / "conv.h5")
    (tmp_path / "r.json").write_text(json.dumps(report()))
    return tmp_path


def names(folder):
    return {path.name for path in folder.iterdir()}


def refused(capsys, place, *arguments, code=2):
    """Run a command that must fail in one line and leave the directory as it was; return the line."""
    before = {path: path.read_bytes() for path in place.iterdir() if path.is_file()}
    assert main(["plot", *map(str, arguments)]) == code
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), err[:6]) == ("", 1, "host: ")
    assert {path: path.read_bytes() for path in place.iterdir() if path.is_file()} == before
    return err


def pixels(path):
    """(H, W, 3) of a picture."""
    from matplotlib.image import imread

    return imread(path)[..., :3]


def test_a_picture_decodes_with_its_size_and_is_not_blank(place, capsys):
    assert main(["plot", "m.h5", "recall", "--limit", "50"]) == 0
    assert capsys.readouterr().out == "wrote m-recall.png\n"
    image = pixels(place / "m-recall.png")
    assert image.shape == (round(3.8 * DOTS_PER_INCH), 6 * DOTS_PER_INCH, 3)
    assert 0.5 < np.mean(image) < 0.98  # a net of random weights has short bars
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 20


@pytest.mark.parametrize(("suffix", "magic"), [("png", b"\x89PNG\r\n"), ("svg", b"<?xml"), ("pdf", b"%PDF-")])
def test_the_suffix_says_the_format_and_the_same_run_gives_the_same_bytes(place, suffix, magic):
    for name in ("one", "two"):
        assert main(["plot", "m.h5", "confusion", "--limit", "50", "-o", f"{name}.{suffix}"]) == 0
    content = (place / f"one.{suffix}").read_bytes()
    assert content.startswith(magic)
    assert content == (place / f"two.{suffix}").read_bytes()
    assert b"CreationDate" not in content and b"dc:date" not in content


def test_a_users_settings_and_another_process_change_no_byte(place):
    assert main(["plot", "m.h5", "kernels", "-o", "one.svg"]) == 0
    (place / "matplotlibrc").write_text("font.size: 20\nlines.linewidth: 9\nsvg.fonttype: none\n")
    command = [sys.executable, "-m", "host", "plot", "m.h5", "kernels", "-o", "two.svg"]
    subprocess.run(command, cwd=place, env={**surroundings(), "PYTHONHASHSEED": "7"}, check=True)
    assert (place / "one.svg").read_bytes() == (place / "two.svg").read_bytes()


def test_all_pictures_come_into_a_folder(place, capsys):
    assert main(["plot", "m.h5", "all", "--limit", "30", "-o", "out"]) == 0
    assert names(place / "out") == {f"{name}.png" for name in MODEL_PICTURES}
    assert all(pixels(path).std() > 0.05 for path in (place / "out").iterdir())
    capsys.readouterr()


def test_all_leaves_out_what_the_model_has_nothing_for(place, capsys):
    assert main(["plot", "conv.h5", "all", "--limit", "30"]) == 0
    assert names(place / "conv-plots") == {f"{name}.png" for name in ("kernels", "maps", "recall", "confusion")}
    said = capsys.readouterr().out
    assert "left out loss: loss: history: found none" in said
    assert "left out preconv: " in said


@pytest.mark.parametrize("fmt", ["float32", "float16", "int8"])
def test_every_format_of_every_picture(place, fmt):
    assert main(["plot", "m.h5", "all", "--limit", "20", "--format", fmt, "-o", "out"]) == 0
    if fmt != "float16":
        assert main(["plot", "conv.h5", "all", "--limit", "20", "--format", fmt, "-o", "out"]) == 0


def test_a_report_is_drawn(place):
    assert main(["plot", "r.json", "all"]) == 0
    assert names(place / "r-plots") == {"recall.png", "confusion.png"}


def test_words_that_are_no_picture(place, capsys):
    assert "found 'confuson' (did you mean confusion?)" in refused(capsys, place, "m.h5", "confuson")
    assert "need one of recall, confusion, all" in refused(capsys, place, "r.json", "zzz")
    assert "found a report, need a model" in refused(capsys, place, "r.json", "kernels")


def test_places_that_cannot_be_written(place, capsys):
    assert "found the suffix '.gif', need .png, .svg or .pdf" in refused(capsys, place, "m.h5", "loss", "-o", "a.gif")
    assert "found no suffix" in refused(capsys, place, "m.h5", "loss", "-o", "a")
    assert "the folder none does not exist" in refused(capsys, place, "m.h5", "loss", "-o", "none/a.png")
    assert "the folder none does not exist" in refused(capsys, place, "m.h5", "all", "-o", "none/out")
    assert "need a folder" in refused(capsys, place, "m.h5", "all", "-o", "r.json")


def test_a_model_without_history(place, capsys):
    assert "history: found none" in refused(capsys, place, "conv.h5", "loss")


def test_a_digit_beyond_the_end(place, capsys):
    assert "--digit: found 359, need 0..358" in refused(capsys, place, "m.h5", "maps", "--digit", "359")


def test_no_data(place, capsys, monkeypatch):
    monkeypatch.setenv("DIGITDUINO_DATA", str(place))
    monkeypatch.setenv("DIGITDUINO_CACHE", str(place))
    assert "host fetch usps" in refused(capsys, place, "m.h5", "recall", "--data", "usps")
    network = random_network(shape=(16, 16), classes=10)
    object.__setattr__(network.provenance, "dataset", "mine.npz")
    model_file.save(network, place / "own.h5")
    assert "--data: found a model trained on 'mine.npz'" in refused(capsys, place, "own.h5", "all")


def test_a_missing_library_is_named_with_what_brings_it(place, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    line = refused(capsys, place, "m.h5", "loss", code=4)
    assert "matplotlib" in line and "pip install 'digitduino[plot]'" in line


def test_matplotlib_is_loaded_for_a_picture_only(place):
    script = "import sys, host.cli.plot, host.cli.evaluate; print('matplotlib' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], env=surroundings(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_no_window_system_is_asked(place):
    script = (
        "import sys; from host.cli import main; main(['plot', 'm.h5', 'loss']);"
        "print('matplotlib.pyplot' in sys.modules, 'tkinter' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=surroundings(), cwd=place, capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("False False\n")
