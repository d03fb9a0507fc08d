"""Headers: deterministic, exact, whole, harmless whatever a model file calls itself."""

import dataclasses
import re
import subprocess
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import LAYERS, network_of, random_network

from host.compile import render
from host.compile.boards import BOARDS
from host.compile.select import choose, plain
from host.errors import InputError
from host.nn.formats import WeightFormat
from host.nn.layers import AveragePool2d, Conv2d, Dense, Flatten, MaxPool2d, ReLU, preconv_layers
from host.quantise.lower import lower

INT8 = WeightFormat.INT8
UNO, MEGA = BOARDS["uno"], BOARDS["mega"]
PACKED = (WeightFormat.INT4, WeightFormat.TERNARY)
BEHIND_THE_FRONT_END = (*preconv_layers(63), Conv2d(4, 3), ReLU(), MaxPool2d(), Flatten())


def exported(fmt=INT8, **options):
    """A net behind the front end as portable C."""
    return plain(lower(random_network(**options), fmt))


def chosen(name, kernel="auto", fmt=INT8, board=UNO, **options):
    return choose(lower(network_of(name, **options), fmt), board, kernel)


@pytest.mark.parametrize("fmt", WeightFormat)
def test_rendering_twice_gives_the_same_bytes(fmt):
    assert render.render(exported(fmt)) == render.render(exported(fmt))


@pytest.mark.parametrize("kernel", ["portable", "asm", "unrolled"])
def test_nor_does_a_kernel_make_them_differ(kernel):
    first, second = (render.render(chosen("separable", kernel, fmt=WeightFormat.TERNARY)) for _ in range(2))
    assert first == second


def test_headers_carry_neither_date_nor_path():
    for text in render.render(exported()).values():
        assert not re.search(r"20\d\d-\d\d|/home|/tmp|/work|\d\d:\d\d", text)


@given(st.integers(0, 2**32 - 1).map(lambda bits: np.uint32(bits).view(np.float32)).filter(np.isfinite))
def test_float_literals_round_trip(value):
    literal = render.c_float(value)
    assert literal.endswith("f") and ("." in literal or "e" in literal)
    assert np.float32(literal[:-1]).view(np.uint32) == value.view(np.uint32)


@given(st.text())
def test_no_text_can_end_or_open_a_comment(text):
    safe = render.c_comment(text)
    assert "*/" not in safe and "/*" not in safe and "\n" not in safe and safe.isascii()


def test_hostile_names_stay_inside_their_comment(tmp_path):
    network = random_network()
    network = dataclasses.replace(
        network,
        labels=("*/ int main(", '"', "\n#error", "??/"),
        provenance=dataclasses.replace(network.provenance, preset='x*/\n#include "/etc/passwd"'),
    )
    text = render.render(plain(lower(network)))["model.h"]
    (tmp_path / "nn.h").write_text(f"#define NN_ABI {render.ABI}\n")
    (tmp_path / "t.c").write_text(text + "\nint main(void) { return MODEL_CLASSES; }\n")
    subprocess.run(["gcc", "-Wall", "-Werror", "-I", tmp_path, tmp_path / "t.c", "-o", tmp_path / "t"], check=True)
    assert subprocess.run([tmp_path / "t"], check=False).returncode == 4


def test_another_core_is_a_compile_error_that_says_what_to_do(tmp_path):
    (tmp_path / "nn.h").write_text(f"#define NN_ABI {render.ABI + 1}\n")
    (tmp_path / "t.c").write_text(render.render(exported())["model.h"])
    result = subprocess.run(
        ["gcc", "-fsyntax-only", "-I", tmp_path, tmp_path / "t.c"], capture_output=True, text=True, check=False
    )
    assert result.returncode != 0 and "run `host export` again" in result.stderr


def test_writing_leaves_old_headers_when_the_disk_is_full(tmp_path, monkeypatch):
    render.write_headers(exported(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InputError, match="No space left"):
        render.write_headers(exported(seed=8), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_abi_is_the_cores(repository):
    header = (repository / "firmware/lib/nn/nn.h").read_text()
    assert re.search(rf"#define NN_ABI {render.ABI}\b", header)


@pytest.mark.parametrize("name", [*LAYERS, "front end", *(fmt.label for fmt in WeightFormat)])
def test_both_listings_hold_every_byte_of_the_rom(name):
    if name in LAYERS or name == "front end":
        export = plain(lower(network_of(BEHIND_THE_FRONT_END if name == "front end" else name)))
    else:
        export = exported(WeightFormat[name.upper()])
    texts, rom = render.render(export), export.portable.rom
    listing = re.search(r"model_rom\[MODEL_ROM_BYTES\][^=]*= {([^}]*)};", texts["model_net.h"])[1]
    assert bytes(int(number) for number in re.findall(r"\d+", listing)) == rom
    assert bytes_of_assembly(texts["model_code.S"]) == rom
    assert f"MODEL_ROM_BYTES {len(rom)}UL" in texts["model_net.h"]
    assert export.portable.rom_crc == zlib.crc32(rom)


def bytes_of_assembly(text):
    lines = re.findall(r"^ +\.byte (.*)$", text, re.MULTILINE)
    return bytes(int(number) for line in lines for number in line.split(", "))


@pytest.mark.parametrize("name", ["padded", "separable", "dense alone"])
def test_an_avr_has_the_bytes_of_its_own_program_and_those_of_the_portable_one(name):
    export = chosen(name, "asm")
    text = render.render(export)["model_code.S"]
    assembly, portable = text.split("#else")
    assert "#if !defined(NN_PORTABLE)" in assembly
    assert bytes_of_assembly(assembly) == export.avr.rom != export.portable.rom == bytes_of_assembly(portable)
    assert [each.rom_crc for each in export.programs] == [zlib.crc32(export.avr.rom), zlib.crc32(export.portable.rom)]


def test_the_image_lies_in_the_arena_only_where_there_is_no_room_for_it_elsewhere():
    layers = (Conv2d(8, 5), ReLU(), MaxPool2d(), Conv2d(16, 5), ReLU(), MaxPool2d(), Flatten(), Dense(64), ReLU())
    lean, kept = (chosen(layers, "asm", board=board, side=28) for board in (UNO, MEGA))
    assert kept.avr.image_at is None and "MODEL_IMAGE_AT" not in render.render(kept)["model.h"]
    assert f"#define MODEL_IMAGE_AT {lean.avr.image_at} " in render.render(lean)["model.h"]
    assert kept.graph.hash == lean.graph.hash and kept.avr.rom == lean.avr.rom
    assert lean.avr.arena_bytes < kept.avr.arena_bytes + kept.avr.image_bytes


@pytest.mark.parametrize(("groups", "driver"), [(1, "nn_avr_conv"), (16, "nn_avr_depth")])
def test_two_convolutions_in_turns_have_the_driver_of_their_kernels(groups, driver):
    layers = (
        *(Conv2d(8, 5), ReLU(), MaxPool2d(), Conv2d(16, 3), ReLU(), Conv2d(16, 3, groups=groups), ReLU(), MaxPool2d()),
        *(Flatten(), Dense(32), ReLU()),
    )
    export = chosen(layers, "asm", side=28)
    assert export.avr.layout.pair == export.portable.layout.pair == 1
    text = render.render(export)["model_net.h"]
    drivers = ("nn_avr_conv_pair(", "nn_avr_depth_pair(", "nn_conv_i8_pair(")
    assert [text.count(name) for name in drivers] == [int(driver in drivers[0]), int(driver in drivers[1]), 1]
    assert len(export.avr.marks) == 4 and "NN_MARK(4)" not in text


def test_pools_stand_in_both_programs():
    names = ("nn_avr_pool_max(", "nn_avr_pool_average(", "nn_pool_max(", "nn_pool_average(")
    layers = (Conv2d(8, 3), ReLU(), MaxPool2d(3, 2), AveragePool2d(2), Flatten())
    text = render.render(chosen(layers, "asm"))["model_net.h"]
    assert [text.count(name) for name in names] == [1, 1, 1, 1]
    portable = render.render(chosen(layers, "portable"))["model_net.h"]
    assert [portable.count(name) for name in names] == [0, 0, 1, 1]


def test_assembly_and_c_stand_side_by_side_in_one_program():
    text = render.render(chosen((Conv2d(8, 3, groups=1), ReLU(), Conv2d(8, 3, groups=2), ReLU(), Flatten()), "asm"))
    assembly = text["model_net.h"].split("#else")[0]
    assert "nn_avr_conv_run(&model_stage0" in assembly and "nn_conv_i8_run(&model_stage1" in assembly


def test_weights_as_code_are_called_once_and_the_routine_is_in_the_listing():
    texts = render.render(chosen("pools", "unrolled", fmt=WeightFormat.TERNARY))
    assert texts["model_net.h"].count("model_dense(arena, scores)") == 1
    assert texts["model_code.S"].count("\nmodel_dense:\n") == 1


@pytest.mark.parametrize("fmt", PACKED)
def test_packed_weights_have_their_own_kernels(fmt):
    text = render.render(chosen("padded", "portable", fmt))["model_net.h"]
    assert "nn_conv_packed_run(" in text and "nn_dense_packed_scores(" in text
    assert not re.search(r"nn_(conv|rows)_i8_\w+\(", text)


def test_several_channels_are_said_and_one_is_not():
    two = render.render(plain(lower(network_of("plain", shape=(2, 16, 16)))))
    assert "#define MODEL_CHANNELS 2\n" in two["model.h"] and "/* image: 2 x 16 x 16 u8" in two["model_net.h"]
    one = render.render(plain(lower(network_of("plain"))))
    assert "MODEL_CHANNELS" not in one["model.h"] and "/* image: 16 x 16 u8" in one["model_net.h"]


def test_a_smaller_top_is_written_down_and_255_is_not():
    full, narrow = (render.render(plain(lower(network_of("plain"), top=top)))["model_net.h"] for top in (255, 63))
    assert ".top" not in full and narrow.count(".top = 63,") == 1
