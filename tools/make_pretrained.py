"""Trains the models in host/pretrained by the commands that the index names, and writes the index anew.

`python tools/make_pretrained.py` trains every model of the table MODELS, with names only those. `--index` trains
nothing and measures the files that are there; `--check` writes nothing, and exits with 1 if the index is not what the
files say (accuracies only where the data set is at hand). docs/pretrained.md explains how to add a model.
"""

from __future__ import annotations

import argparse
import hashlib
import shlex
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from host import data, pretrained  # noqa: E402  (the repository need not be installed for this)
from host.atomic import write_bytes, write_text  # noqa: E402
from host.cli import main as host  # noqa: E402
from host.compile.advice import check_fit  # noqa: E402
from host.compile.boards import board  # noqa: E402
from host.compile.exports import export_for, formats, plain_export  # noqa: E402
from host.errors import DigitduinoError, InputError  # noqa: E402
from host.modelfile import file as model_file  # noqa: E402
from host.nn.formats import WeightFormat  # noqa: E402
from host.nn.network import Network, float_scores  # noqa: E402
from host.pretrained import Predicted, Pretrained  # noqa: E402
from host.quantise.reference import infer  # noqa: E402
from host.report.compare import accuracy  # noqa: E402


@dataclass(frozen=True)
class Recipe:
    """How a model is made: `options` go to `host train`; the costs are predicted for `board`."""

    name: str
    preset: str
    data: str
    board: str = "uno"
    options: tuple[str, ...] = ()

    @property
    def arguments(self) -> list[str]:
        """Those of `host train`, without the output."""
        return ["train", "--data", self.data, "--preset", self.preset, "--seed", "0", *self.options]


MODELS = (
    Recipe("preconv-usps", "preconv", "usps"),
    Recipe("preconv-cheap-usps", "preconv-cheap", "usps"),
    Recipe("preconv-mnist", "preconv", "mnist"),
    Recipe("uno-cnn-usps", "uno-cnn", "usps"),
    Recipe("uno-cnn-mnist", "uno-cnn", "mnist"),
)
"""To add a model, add a line here and run this with its name."""

ORIGINS = {
    "digits": "1,797 digits of the UCI Optical Recognition set, as scikit-learn carries them",
    "usps": "USPS digits of US zip codes (LeCun et al. 1989; Hull 1994)",
    "mnist": "MNIST (LeCun, Cortes, Burges 1998)",
}


def train(recipe: Recipe) -> None:
    """Run the recipe's `host train`; the model comes into the folder when it is whole. Raise SystemExit on failure."""
    with tempfile.TemporaryDirectory() as place:
        made = Path(place) / f"{recipe.name}.h5"
        if code := host([*recipe.arguments, "-o", str(made)]):
            raise SystemExit(code)
        write_bytes(pretrained.FOLDER / made.name, made.read_bytes())


def described(recipe: Recipe, known: Pretrained | None) -> Pretrained:
    """The index's entry, measured on the model's file. Without the data set, accuracies are those of `known`."""
    path = pretrained.FOLDER / f"{recipe.name}.h5"
    network = model_file.load(path)
    content = path.read_bytes()
    source = network.provenance
    target = board(recipe.board)
    exported = export_for(network, WeightFormat.INT8, target)
    budget = check_fit(network, exported, target)
    return Pretrained(
        name=recipe.name,
        preset=source.preset,
        data=source.dataset,
        data_sha256=source.dataset_sha256,
        origin=ORIGINS[source.dataset],
        command=shlex.join(["host", *recipe.arguments, "-o", path.name]),
        content_hash=model_file.content_hash(network),
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        accuracy=_accuracies(network, recipe, known),
        weights=_weight_bytes(network),
        predicted=Predicted(
            recipe.board, exported.kernel, budget.flash, budget.ram_static, budget.stack, budget.cycles
        ),
    )


def _accuracies(network: Network, recipe: Recipe, known: Pretrained | None) -> dict[str, float]:
    try:
        test = data.load(recipe.data).test
    except InputError:
        if known is None:
            raise
        return known.accuracy
    found = {"float32": accuracy(float_scores(network, test.images).argmax(axis=1), test.labels)}
    exported = export_for(network, WeightFormat.INT8, board(recipe.board))
    return found | {"int8": accuracy(infer(exported.graph, test.images).classes, test.labels)}


def _weight_bytes(network: Network) -> dict[str, int]:
    int8 = len(plain_export(network, WeightFormat.INT8).portable.rom)
    if WeightFormat.FLOAT32 in formats(network):
        return {"float32": len(plain_export(network, WeightFormat.FLOAT32).portable.rom), "int8": int8}
    return {"float32": 4 * int(network.parameters.flat.size), "int8": int8}


def differences() -> list[str]:
    """In what way files and index disagree, a line for each; the index may lack no model and name no other."""
    listed = pretrained.index()
    if [model.name for model in listed] != [recipe.name for recipe in MODELS]:
        return ["index.json: lists other models than MODELS"]
    files = sorted(path.stem for path in pretrained.FOLDER.glob("*.h5"))
    if files != sorted(recipe.name for recipe in MODELS):
        return [f"host/pretrained: holds {', '.join(files)}"]
    found = []
    for recipe, known in zip(MODELS, listed, strict=True):
        now = described(recipe, known)
        if not same(now, known):
            wrong = [name for name in vars(now) if getattr(now, name) != getattr(known, name)]
            found.append(f"{recipe.name}: {', '.join(wrong)}: differs from the file")
    return found


def same(now: Pretrained, known: Pretrained) -> bool:
    """Equal; a float accuracy may differ by one digit in a thousand, since other processors sum in another order."""
    near = abs(now.accuracy["float32"] - known.accuracy["float32"]) <= 0.001
    return near and now == replace(known, accuracy={**known.accuracy, "float32": now.accuracy["float32"]})


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="models to train (default every one)")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--index", action="store_true", help="train nothing; measure the files, write the index")
    only.add_argument("--check", action="store_true", help="write nothing; exit 1 if the index differs from the files")
    chosen = parser.parse_args(arguments)
    unknown = sorted(set(chosen.names) - {recipe.name for recipe in MODELS})
    if unknown:
        parser.error(f"found {', '.join(unknown)}, need some of {', '.join(recipe.name for recipe in MODELS)}")
    try:
        if chosen.check:
            wrong = differences()
            print("\n".join(wrong) or "host/pretrained: files and index agree")
            return 1 if wrong else 0
        if not chosen.index:
            for recipe in MODELS:
                if recipe.name in (chosen.names or [recipe.name]):
                    train(recipe)
        write_text(pretrained.FOLDER / pretrained.INDEX, pretrained.index_text(tuple(_all_described())))
    except DigitduinoError as error:
        print(f"make_pretrained: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _all_described() -> list[Pretrained]:
    return [described(recipe, None) for recipe in MODELS]


if __name__ == "__main__":
    sys.exit(main())
