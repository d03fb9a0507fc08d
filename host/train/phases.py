"""What a recipe goes through: names, steps and files of its teachers, itself, its trainings for formats, its check."""

from dataclasses import replace
from pathlib import Path

from host.data import Dataset
from host.train.batches import batch_count
from host.train.optimisers import LbfgsB
from host.train.progress import Phase
from host.train.qat.recipe import QatRecipe
from host.train.qat.train import qat_recipe
from host.train.recipe import Recipe, Teacher

VALIDATION = "validation"
"""The run without the held-out images, which shows what the net is worth that learned from all."""


def phases(recipe: Recipe, name: str, rows: int, dataset: Dataset) -> list[Phase]:
    """Return what `Pipeline.train` goes through, in its order; a step costs about in proportion to the net."""
    found: list[Phase] = []
    if recipe.teacher is not None:
        for number in range(recipe.teacher.count):
            taught = teaching(recipe, recipe.teacher)
            found += phases(taught, teacher_name(recipe.teacher, number), rows, dataset)
    cost = recipe.architecture(dataset.image_shape, len(dataset.labels)).macs
    parts = [(name, recipe), *((wanted.name, qat_recipe(recipe, wanted)) for wanted in recipe.qat)]
    return found + [Phase(word, batches_of(part, rows) * part.epochs, cost) for word, part in parts]


def batches_of(recipe: Recipe, rows: int) -> int:
    """Return how many steps of progress an epoch has."""
    return 1 if isinstance(recipe.optimiser, LbfgsB) else batch_count(rows, recipe.batch)


def validating(recipe: Recipe) -> Recipe:
    """Return the recipe of the run that leaves the held-out images out."""
    return replace(recipe, validation_run=False, qat=())


def teaching(recipe: Recipe, teacher: Teacher) -> Recipe:
    """Return the recipe by which the teacher itself is trained."""
    epochs = teacher.epochs or recipe.epochs
    return replace(
        recipe, layers=teacher.layers, epochs=epochs, teacher=None, companion=None, cost=None, patience=None, qat=()
    )


def teacher_name(teacher: Teacher, number: int) -> str:
    """Return what a teacher, counted from 0, is called."""
    return "teacher" if teacher.count == 1 else f"teacher {number + 1}/{teacher.count}"


def checkpoint_files(path: Path, recipe: Recipe) -> list[Path]:
    """Return every file in which a training with this `path` keeps its state."""
    teachers = [teacher_file(path, number) for number in range(recipe.teacher.count if recipe.teacher else 0)]
    found = [path, *teachers, *(qat_file(path, wanted) for wanted in recipe.qat)]
    if recipe.validation_run:
        found += checkpoint_files(validation_file(path), validating(recipe))
    return found


def teacher_file(path: Path, number: int) -> Path:
    """Return where the state of a teacher, counted from 0, is kept."""
    return path.with_name(f"{path.name}.teacher{number + 1 if number else ''}")


def qat_file(path: Path, wanted: QatRecipe) -> Path:
    """Return where the state of a training for a format is kept."""
    return path.with_name(f"{path.name}.{wanted.name}")


def validation_file(path: Path) -> Path:
    """Return where the state of the validation run is kept."""
    return path.with_name(f"{path.name}.{VALIDATION}")
