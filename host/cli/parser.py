"""Arguments of every command. Imports of the work itself happen when a command runs, so that --help is instant."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable

from host import __version__

FORMATS = ("float32", "float16", "int8")
DEFAULT_DATA = "digits"
DEFAULT_PRESET = "preconv"


def build_parser() -> argparse.ArgumentParser:
    """The parser; each command's namespace carries `run(arguments) -> exit code`."""
    parser = argparse.ArgumentParser(
        prog="host",
        description="Train a tiny digit classifier, run it on an Arduino, prove that both say the same.",
        epilog="Start with `host demo`. Each command explains itself with --help.",
    )
    parser.add_argument("--version", action="version", version=f"digitduino {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _demo(_command(commands, "demo", "train, export, build and verify in one go", "host demo --board uno"))
    _fetch(_command(commands, "fetch", "download or import a data set", "host fetch usps mnist"))
    _train(_command(commands, "train", "train a network", "host train --data usps -o usps.h5"))
    _evaluate(_command(commands, "evaluate", "accuracy of each format on the PC", "host evaluate usps.h5 --data usps"))
    _export(_command(commands, "export", "render C headers", "host export usps.h5 --format int8 --board uno"))
    _command(commands, "ports", "list serial ports", "host ports")
    _command(commands, "doctor", "say what is missing and how to mend it", "host doctor")
    _simulate(_command(commands, "simulate", "a simulated board on a pty", "host simulate --board uno"))
    _verify(
        _command(
            commands, "verify", "compare board and PC digit by digit", "host verify usps.h5 --data usps --board uno"
        )
    )
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, what: str, example: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name, help=what, description=f"{what[0].upper()}{what[1:]}.", epilog=f"Example: {example}"
    )
    parser.set_defaults(run=_deferred(name))
    return parser


def _deferred(name: str) -> Callable[[argparse.Namespace], int]:
    def run(arguments: argparse.Namespace) -> int:
        code: int = importlib.import_module(f"host.cli.{name}").run(arguments)
        return code

    return run


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", metavar="FILE", help="write the results as JSON (- for standard output)")


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
        "--kernel", default="auto", help=f"{when}auto (default, the fastest that fits), portable, asm or unrolled"
    )
    parser.add_argument(
        "--activation-bits", type=int, choices=(6, 8), help=f"{when}int8 only (default 6 where that costs no accuracy)"
    )


def _limit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N images")


def _faults(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--faults",
        metavar="SPEC",
        help="a bad line on purpose, the same for the same SPEC: drop, flip, dup, insert=P for each byte both ways; "
        "truncate=P, stall=P[:SECONDS] for each frame; reset=N; unplug=BYTE; at=BYTE:KIND[:to|from]; seed=N; "
        "such as drop=0.001,reset=10",
    )


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--board", default="native", help="native (default) or uno, a simulated one")
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
    parser.add_argument("--preset", default=DEFAULT_PRESET, help=f"how to train (default {DEFAULT_PRESET}; see --list)")
    parser.add_argument("--list", action="store_true", help="list the presets with their figures")
    parser.add_argument("-o", "--output", metavar="MODEL.h5", help="where the model goes")
    parser.add_argument("--seed", type=natural, default=0, help="same seed, same model (default 0)")
    parser.add_argument("--hidden", type=positive, help="hidden units")
    parser.add_argument("--epochs", type=positive, help="epochs, or iterations for preconv-seed")
    parser.add_argument("--reg", type=float, help="weight of the L2 penalty")
    parser.add_argument("--cycles", type=positive, metavar="N", help="preconv-cheap: about what both layers shall cost")
    parser.add_argument(
        "--sweep-cost",
        action="store_true",
        help="train nets of several costs; print accuracy, cycles and flash of each",
    )
    parser.add_argument(
        "--seeds", type=positive, default=3, metavar="N", help="with --sweep-cost: nets a row (default 3)"
    )
    parser.add_argument("--no-rehearsal", action="store_true", help="skip the validation figure; half the time")
    parser.add_argument("--checkpoint", action="store_true", help="on Ctrl-C, save the best network so far")
    _json(parser)


def _evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL.h5")
    _data(parser)
    parser.add_argument("--format", choices=FORMATS, help="only this one beside float32 (default all)")
    parser.add_argument("--split", choices=("train", "test"), default="test")
    _limit(parser)
    _json(parser)


def _export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL.h5")
    parser.add_argument("--format", choices=(*FORMATS, "text"), default="int8", help="text: the seed's W1/W2 files")
    parser.add_argument("--board", default="uno", help="whose memory the budget is held against (default uno)")
    _kernel(parser, "")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("-o", "--output", metavar="DIR", help="folder for the headers (default firmware/model)")
    place.add_argument("--project", metavar="DIR", help="make DIR a complete PlatformIO project instead")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the headers there differ")
    _json(parser)


def _simulate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--board", default="uno", help="uno (default) or mega")
    parser.add_argument("--elf", metavar="FILE", help="firmware (default .pio/build/BOARD/firmware.elf)")
    _faults(parser)


def _verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL.h5")
    _data(parser)
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument(
        "--port", metavar="P", help="a flashed board: /dev/ttyACM0, COM5, socket://…, a simulated one's pty"
    )
    place.add_argument("--board", help="export, build and run on native, uno or mega (simulated)")
    parser.add_argument("--format", choices=FORMATS, help="with --board (default int8); with --port the board tells")
    _kernel(parser, "with --board: ")
    parser.add_argument("--split", choices=("train", "test"), default="test")
    parser.add_argument("--profile", action="store_true", help="with --board: build so that each layer is timed")
    parser.add_argument("--baud", type=positive, help="rate after the greeting (default 115200)")
    parser.add_argument("--min-accuracy", type=share, metavar="A", help="fail below this device accuracy, 0..1")
    _limit(parser)
    _faults(parser)
    _json(parser)


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"found {value}, need 1 or more")
    return value


def natural(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"found {value}, need 0 or more")
    return value


def share(text: str) -> float:
    value = float(text)
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"found {value}, need a number from 0 to 1")
    return value
