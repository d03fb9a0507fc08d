"""Arguments of every command. Imports of the work itself happen when a command runs, so that --help is instant."""

from __future__ import annotations

import argparse
import importlib
import keyword
from collections.abc import Callable

from host import __version__
from host.cli.values import Parser, float_range, height_width, json_file, natural, percentile, positive, share
from host.compile.boards import BOARDS, Runner
from host.compile.kernels.kinds import AUTO, KINDS
from host.nn.formats import ACTIVATION_TOPS, BITS_IN_WORDS, WeightFormat

FORMATS = tuple(fmt.label for fmt in WeightFormat)
_SIMULATED = ", ".join(name for name, board in BOARDS.items() if board.runner is Runner.SIMAVR)
DEFAULT_DATA = "digits"
DEFAULT_PRESET = "preconv"


def build_parser() -> argparse.ArgumentParser:
    """The parser; each command's namespace carries `run(arguments) -> exit code`."""
    parser = Parser(
        prog="host",
        description="Train a tiny digit classifier, run it on an Arduino, prove that both say the same.",
        epilog="Start with `host demo`. Each command explains itself with --help.",
    )
    parser.add_argument("--version", action="version", version=f"digitduino {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _demo(_command(commands, "demo", "train, export, build and verify in one go", "host demo --board uno"))
    _fetch(_command(commands, "fetch", "download or import a data set", "host fetch usps mnist"))
    _train(_command(commands, "train", "train a network", "host train --data usps -o usps.h5"))
    _import(_command(commands, "import", "take the net of another tool", "host import net.tflite -o net.h5"))
    _evaluate(_command(commands, "evaluate", "accuracy of each format on the PC", "host evaluate usps.h5 --data usps"))
    _calibrate(
        _command(commands, "calibrate", "measure a model's ranges on data", "host calibrate net.h5 --data inputs.npz")
    )
    _export(_command(commands, "export", "render C headers", "host export usps.h5 --format int8 --board uno"))
    _plot(_command(commands, "plot", "pictures of a model and of what it answers", "host plot usps.h5 maps --digit 7"))
    _models(_command(commands, "models", "list the pretrained models", "host models"))
    _command(commands, "ports", "list serial ports", "host ports")
    _command(commands, "doctor", "say what is missing and how to mend it", "host doctor")
    _simulate(_command(commands, "simulate", "a simulated board on a pty", "host simulate --board uno"))
    _verify(
        _command(
            commands, "verify", "compare board and PC digit by digit", "host verify usps.h5 --data usps --board uno"
        )
    )
    _explain(
        _command(
            commands,
            "explain",
            "why an image gets its class: op by op, and the usual causes of a wrong one",
            "host explain usps.h5 --data usps --index 12 --board uno",
        )
    )
    return parser


def _command(
    commands: argparse._SubParsersAction[Parser], name: str, what: str, example: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name, help=what, description=f"{what[0].upper()}{what[1:]}.", epilog=f"Example: {example}"
    )
    parser.set_defaults(run=_deferred(name))
    return parser


def _deferred(name: str) -> Callable[[argparse.Namespace], int]:
    def run(arguments: argparse.Namespace) -> int:
        if getattr(arguments, "model", None) is not None:
            arguments.model = importlib.import_module("host.pretrained").path_of(arguments.model)
        importlib.import_module("host.cli.outputs").check_outputs(arguments)
        module = f"{name}_" if keyword.iskeyword(name) else name
        code: int = importlib.import_module(f"host.cli.{module}").run(arguments)
        return code

    return run


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", type=json_file, metavar="FILE", help="write the results as JSON (- for standard output)"
    )


def _model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a model file, or a name that `host models` lists")


def _data(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    parser.add_argument(
        "--data",
        metavar="NAME|PATH",
        default=default,
        required=default is None,
        help="digits, usps, mnist, or a file or folder: HDF5, IDX, NPZ, CSV"
        + (f" (default {default})" if default else ""),
    )


def _kernel(parser: argparse.ArgumentParser, when: str) -> None:
    parser.add_argument(
        "--kernel", default=AUTO, help=f"{when}{AUTO} (default, the fastest that fits), {', '.join(KINDS)}"
    )
    parser.add_argument(
        "--activation-bits",
        type=int,
        choices=sorted(ACTIVATION_TOPS),
        help=f"{when}integers only: {BITS_IN_WORDS} (default: int8 takes 6 where that costs no accuracy)",
    )


def _format(parser: argparse.ArgumentParser, names: tuple[str, ...], what: str, default: str | None = None) -> None:
    parser.add_argument("--format", choices=names, default=default, help=what)
    parser.add_argument(
        "--per-tensor", action="store_true", help="integers: one step for a layer's weights, not one a row"
    )


def _limit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N images")


def _split(parser: argparse.ArgumentParser, usual: str) -> None:
    parser.add_argument("--split", choices=("train", "test"), help=f"default {usual}; a file of inputs has none")


def _scores(parser: argparse.ArgumentParser, whose: str) -> None:
    parser.add_argument("--scores", metavar="FILE", help=f"keep every answer of {whose}: a .csv or .npz")


def _faults(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--faults",
        metavar="SPEC",
        help="a bad line on purpose, the same for the same SPEC: drop, flip, dup, insert=P for each byte both ways; "
        "truncate=P, stall=P[:SECONDS] for each frame; reset=N; unplug=BYTE; at=BYTE:KIND[:to|from]; seed=N; "
        "such as drop=0.001,reset=10",
    )


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--board", default="native", help=f"native (default) or a simulated one: {_SIMULATED}")
    parser.add_argument("--seed", type=natural, default=0)
    parser.add_argument("-o", "--output", metavar="DIR", default="build/demo", help="where model and headers go")
    _json(parser)


def _fetch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="+", metavar="NAME", help="usps or mnist")
    parser.add_argument(
        "--from", dest="source", metavar="DIR", help="import files from a folder instead of downloading"
    )


def _train(parser: argparse.ArgumentParser) -> None:
    _data(parser, DEFAULT_DATA)
    parser.add_argument("--preset", help=f"how to train (default {DEFAULT_PRESET}; see --list)")
    parser.add_argument("--list", action="store_true", help="list the presets with their figures")
    parser.add_argument("-o", "--output", metavar="MODEL.h5", help="where the model goes; any name but .json")
    parser.add_argument("--seed", type=natural, default=0, help="same seed, same model (default 0)")
    parser.add_argument("--epochs", type=positive, help="epochs; iterations for preconv-seed and for l-bfgs-b")
    parser.add_argument(
        "--checkpoint",
        action="store_true",
        help="on Ctrl-C, save the best network so far; MODEL.h5.checkpoint keeps the state after each epoch",
    )
    parser.add_argument("--resume", action="store_true", help="go on from MODEL.h5.checkpoint, to the same bits")
    _json(parser)
    _recipe(parser.add_argument_group("instead of what the preset says"))
    group = parser.add_argument_group("nets of several costs")
    group.add_argument(
        "--sweep-cost",
        action="store_true",
        help="train nets of several costs; print accuracy, cycles and flash of each",
    )
    group.add_argument("--seeds", type=positive, metavar="N", help="with --sweep-cost: nets a row (default 3)")


def _recipe(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument("--engine", choices=("numpy", "torch"), help="what computes (default numpy)")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="with --engine torch: where (default cpu)")
    parser.add_argument("--hidden", type=positive, help="units of the hidden dense layer, where there is one")
    parser.add_argument("--reg", type=float, help="weight of the L2 penalty")
    parser.add_argument("--cycles", type=positive, metavar="N", help="preconv-cheap: about what both layers shall cost")
    parser.add_argument("--holdout", type=share, metavar="A", help="share of the training images kept for validation")
    parser.add_argument(
        "--no-rehearsal",
        action="store_true",
        help="presets that learn from all images: skip the second run that validates; half the time",
    )
    parser.add_argument(
        "--patience",
        type=positive,
        metavar="N",
        help="keep the net of the lowest validation loss, and stop N epochs after it",
    )
    parser.add_argument("--rate", type=float, help="highest learning rate")
    parser.add_argument("--batch", type=positive, metavar="N", help="images a step")
    parser.add_argument(
        "--optimiser", choices=("sgd", "adam", "l-bfgs-b"), help="another one; l-bfgs-b takes all images at once"
    )
    parser.add_argument(
        "--qat",
        action="append",
        metavar="FORMAT",
        help="train on for the rounded weights of int8, int4, ternary or several (int8,int4), with activations of the "
        f"net's own bits or, as in int4-6, of {BITS_IN_WORDS}; none: not even as the preset would",
    )


def _import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a net: .tflite, .onnx, Keras' .keras or .h5")
    parser.add_argument("-o", "--output", metavar="MODEL.h5", required=True, help="where the model goes")
    parser.add_argument("--labels", metavar="A,B,C", help="names of the classes (default the file's own, else 0, 1, …)")
    parser.add_argument(
        "--input-range",
        type=float_range,
        metavar="LOW,HIGH",
        help="what pixels of 0 and 255 are to a net of floats (default 0,1)",
    )
    parser.add_argument(
        "--shape",
        type=height_width,
        metavar="HEIGHT,WIDTH",
        help="of the images whose pixels a net takes as a vector (default one row, or of more than 255 "
        "the most square map)",
    )
    parser.add_argument(
        "--check",
        metavar="DATA",
        help="a data set, or a file of inputs: say what each format makes of it; the ranges of a net of floats are "
        "measured on it, and kept",
    )
    _limit(parser)
    _json(parser)


def _evaluate(parser: argparse.ArgumentParser) -> None:
    _model(parser)
    _data(parser)
    _format(parser, FORMATS, "only this one beside float32 (default all)")
    _split(parser, "test")
    _limit(parser)
    _scores(parser, "--format, or of the one whose recall is shown")
    _json(parser)


def _calibrate(parser: argparse.ArgumentParser) -> None:
    _model(parser)
    _data(parser)
    _split(parser, "train")
    parser.add_argument(
        "--percentile",
        type=percentile,
        metavar="P",
        help="ranges that P %% of the images stay within (default: all of them)",
    )
    parser.add_argument("-o", "--output", metavar="MODEL.h5", help="where it goes (default: MODEL is replaced)")
    _limit(parser)
    _json(parser)


def _plot(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a model file or name, or the JSON of `host verify --json`")
    parser.add_argument(
        "what",
        metavar="WHAT",
        help="loss, kernels, maps, recall, confusion, preconv or all; of a verification: recall, confusion or all",
    )
    parser.add_argument("--data", metavar="NAME|PATH", help="whose digits (default those that the model learned from)")
    parser.add_argument("-o", "--output", metavar="FILE", help="a .png, .svg or .pdf; a folder for all")
    parser.add_argument("--format", choices=FORMATS, help="whose numbers and answers (default int8)")
    parser.add_argument(
        "--digit", type=natural, metavar="N", help="maps: which digit of the split (default 0, the first)"
    )
    parser.add_argument("--split", choices=("train", "test"), help="which digits (default test)")
    _limit(parser)


def _models(parser: argparse.ArgumentParser) -> None:
    _json(parser)


def _export(parser: argparse.ArgumentParser) -> None:
    _model(parser)
    _format(parser, (*FORMATS, "text"), "default int8; text: the seed's W1/W2 files", "int8")
    parser.add_argument(
        "--board", default="uno", help=f"whose memory the budget is held against: {', '.join(BOARDS)} (default uno)"
    )
    _kernel(parser, "")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("-o", "--output", metavar="DIR", help="folder for the headers (default firmware/model)")
    place.add_argument("--project", metavar="DIR", help="make DIR a complete PlatformIO project instead")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the headers there differ")
    _json(parser)


def _simulate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--board", default="uno", help=f"one of {_SIMULATED} (default uno)")
    parser.add_argument("--elf", metavar="FILE", help="firmware (default .pio/build/BOARD/firmware.elf)")
    _faults(parser)


def _verify(parser: argparse.ArgumentParser) -> None:
    _model(parser)
    _data(parser)
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument(
        "--port", metavar="P", help="a flashed board: /dev/ttyACM0, COM5, socket://…, a simulated one's pty"
    )
    place.add_argument("--board", help=f"export, build and run on native, or simulated: {_SIMULATED}")
    _format(parser, FORMATS, "with --board (default int8); with --port the board tells")
    _kernel(parser, "with --board: ")
    _split(parser, "test")
    parser.add_argument("--profile", action="store_true", help="with --board: build so that each layer is timed")
    parser.add_argument(
        "--trace",
        type=positive,
        metavar="N",
        help="bring back each step's output of the first N images that differ, else of the first N, and name the first "
        "op that differs; --port needs firmware built with -DMODEL_TRACE",
    )
    parser.add_argument("--baud", type=positive, help="rate of the line after the greeting (default 115200)")
    parser.add_argument("--min-accuracy", type=share, metavar="A", help="fail below this device accuracy, 0..1")
    _limit(parser)
    _faults(parser)
    parser.add_argument("--resume", action="store_true", help="go on where the last such run was interrupted")
    parser.add_argument(
        "--journal", metavar="FILE", help="where results are kept until the report (default a file in the user's cache)"
    )
    _scores(parser, "the board")
    _json(parser)


def _explain(parser: argparse.ArgumentParser) -> None:
    _model(parser)
    _data(parser)
    parser.add_argument("--index", type=natural, required=True, metavar="N", help="which image of the split, from 0")
    _split(parser, "test")
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--board", help=f"bring back each step's output from a board: native, or simulated: {_SIMULATED}"
    )
    place.add_argument("--port", metavar="P", help="from a flashed board, built with -DMODEL_TRACE")
    _format(parser, FORMATS, "whose integers or floats (default int8); with --port the board tells")
    _kernel(parser, "with --board: ")
    parser.set_defaults(profile=False, baud=None, trace=1)
    _json(parser)
