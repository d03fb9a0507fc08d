"""Wordings: what is wrong, what differs, and the way out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from networks import network_of, random_network

from host import pretrained
from host.cli import main
from host.errors import InputError
from host.modelfile import file as model_file
from host.train import checkpoint

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    model_file.save(random_network(shape=(16, 16), classes=10), tmp_path / "m.h5")
    model_file.save(random_network(shape=(16, 16), classes=10, top=63), tmp_path / "narrow.h5")
    model_file.save(random_network(), tmp_path / "small.h5")
    model_file.save(network_of("padded"), tmp_path / "conv.h5")
    return tmp_path


def refused(capsys: Capture, *arguments: object) -> str:
    capsys.readouterr()
    assert main([*map(str, arguments)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("narrow.h5 --activation-bits 8", "activations: found 8 bits, need 6 bits"),
        ("m.h5 --kernel ams", "kernel: found 'ams' (did you mean asm?), need auto, portable, asm, unrolled"),
        ("m.h5 --kernel foo --format float32", "kernel: found 'foo', need auto, portable, asm, unrolled"),
        ("conv.h5 --kernel foo", "kernel: found 'foo', need auto, portable, asm, unrolled"),
        ("m.h5 --kernel unrolled --format float32", "unrolled: dense 7-10: found float32 weights, need an integer"),
        (
            "small.h5 --kernel asm --format float32",
            "asm: dense 7-4: found float32 weights, need an integer format; leave",
        ),
        (
            "m.h5 --activation-bits 6 --format float16",
            "float16: found 6-bit activations, which are for integers, need none; leave --activation-bits out",
        ),
        ("m.h5 --per-tensor --format float16", "float16: found --per-tensor, which is for integers, need floats"),
        ("m.h5 --per-tensor", "per-tensor: found layers with one scale each already, need rows with their own; leave"),
    ],
)
def test_kernels_and_bits(place: Path, capsys: Capture, arguments: str, message: str) -> None:
    assert message in refused(capsys, "export", *arguments.split(), "-o", "out")
    assert not (place / "out").exists()


def test_a_net_of_several_channels_is_exported_and_takes_no_grey_images(place: Path, capsys: Capture) -> None:
    model_file.save(network_of("padded", shape=(3, 16, 16)), place / "colour.h5")
    line = refused(capsys, "evaluate", "colour.h5", "--data", "digits")
    assert "digits: images: found 16×16 pixels, need 3×16×16 for this model; choose the data it was trained on" in line
    assert main(["export", "colour.h5", "--board", "native", "-o", "out", "--json", "out.json"]) == 0
    assert json.loads((place / "out.json").read_text())["accuracy"] is None


def test_headers_with_other_line_ends_are_not_up_to_date(place: Path, capsys: Capture) -> None:
    check = ["export", "m.h5", "-o", "out", "--check"]
    assert main(check[:-1]) == 0 and main(check) == 0
    header = place / "out/model.h"
    header.write_bytes(header.read_bytes().replace(b"\n", b"\r\n"))
    capsys.readouterr()
    assert main(check) == 1
    assert "model.h: differs from what this model renders; run `host export` again" in capsys.readouterr().out


def test_a_folder_is_no_model(place: Path, capsys: Capture) -> None:
    (place / "folder").mkdir()
    for name in (".", "folder"):
        line = refused(capsys, "evaluate", name, "--data", "digits")
        assert f"{name}: found a folder, need a model file; name the file, such as " in line


def test_a_folder_does_not_hide_a_pretrained_model(place: Path) -> None:
    (place / "preconv-usps").mkdir()
    assert pretrained.path_of("preconv-usps") == str(pretrained.FOLDER / "preconv-usps.h5")
    assert pretrained.path_of("./preconv-usps") == "./preconv-usps"


@pytest.mark.parametrize(
    "command",
    ["models --json", "models --json=", "train --list --json=", "verify m.h5 --data digits --board native --json="],
)
def test_json_without_a_file_says_what_it_wants(capsys: Capture, command: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(command.split())
    said = capsys.readouterr().err
    assert said.endswith("argument --json: found no FILE, need one; name a file, or - for standard output\n")


def test_the_size_of_a_file_is_called_so(capsys: Capture) -> None:
    assert main(["models"]) == 0
    legend, header = capsys.readouterr().out.splitlines()[:2]
    assert legend.endswith("bytes of the file") and header.endswith("  file size")


def test_a_checkpoint_says_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "m.checkpoint"
    facts = {"epochs": 12, "seed": 0, "layers": tuple(range(40)), "batch": 64}
    state = checkpoint.Checkpoint(1, {}, {"now": np.arange(3)})
    checkpoint.save(path, checkpoint.mark_of(facts), state)
    assert checkpoint.load(path, checkpoint.mark_of(dict(facts))) is not None
    with pytest.raises(InputError) as caught:
        checkpoint.load(path, checkpoint.mark_of({**facts, "epochs": 11, "seed": 1, "layers": ()}))
    assert "found one of another training (epochs 12, not 11; seed 0, not 1; another layers), need" in str(caught.value)
    assert str(caught.value).endswith("give the options that it was begun with, or delete the file and begin anew")


@pytest.mark.parametrize("mark", ["[" * 100_000, "null", '{"seed": 7}', '{"seed": "\\n\\u001b[2J"}'])
def test_a_hostile_mark_breaks_no_message(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "m.checkpoint"
    checkpoint.save(path, mark, checkpoint.Checkpoint(1, {}, {}))
    with pytest.raises(InputError, match="found one of another training") as caught:
        checkpoint.load(path, checkpoint.mark_of({"seed": 1}))
    assert str(caught.value).isprintable()


def test_a_resumed_training_names_the_options_that_differ(
    place: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["train", "--preset", "simple-cnn", "-o", "x.h5"]
    write = checkpoint.save

    def stop(path: Path, mark: str, state: checkpoint.Checkpoint) -> None:
        """Save the first epoch, then go down as a machine that is switched off."""
        write(path, mark, state)
        raise OSError("off")

    monkeypatch.setattr(checkpoint, "save", stop)
    assert main([*arguments, "--epochs", "3", "--checkpoint"]) == 2
    line = refused(capsys, *arguments, "--epochs", "2", "--seed", "5", "--rate", "0.001", "--resume")
    assert "found one of another training (epochs 3, not 2; rate 0.002, not 0.001; seed 0, not 5), need" in line
    assert "give the options that it was begun with, or delete the file and begin anew" in line
    (place / "x.h5.checkpoint").write_bytes(b"no zip")
    line = refused(capsys, *arguments, "--epochs", "3", "--resume")
    assert "found a file that is damaged or no checkpoint" in line and "delete the file and begin anew" in line


def test_a_loss_that_is_not_finite_names_epoch_and_remedy(place: Path, capsys: Capture) -> None:
    line = refused(capsys, "train", "--preset", "sequential-cnn", "--rate", "1e30", "--epochs", "1", "-o", "x.h5")
    assert "in epoch 1, need a finite one; lower the learning rate, such as --rate 1e+29" in line
    assert not (place / "x.h5").exists()
