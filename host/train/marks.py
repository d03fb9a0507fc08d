"""What a checkpoint must have in common with the training that goes on from it."""

from dataclasses import dataclass, fields, replace

from host.train import checkpoint
from host.train.recipe import Recipe


@dataclass(frozen=True)
class Marks:
    """The facts that the trainings of one command share."""

    seed: int
    data_sha256: str
    rows: int  # trained on
    engine: str  # it and its device: others give other bits
    device: str

    def of(self, recipe: Recipe, phase: str) -> str:
        """Return the mark of one training."""
        facts = {known.name: getattr(recipe, known.name) for known in fields(recipe)}
        facts |= {"rate": recipe.schedule.rate, "schedule": replace(recipe.schedule, rate=1.0)}
        others = {"seed": self.seed, "data": self.data_sha256, "rows": self.rows, "stage": phase}
        return checkpoint.mark_of(facts | others | {"engine": self.engine, "device": self.device})
