"""What teachers, trained before, say of the images that a net learns from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.nn import inference
from host.nn.fixed import codes
from host.nn.layers import Architecture
from host.nn.network import Scaling
from host.nn.numpy import softmax
from host.nn.parameters import Parameters
from host.train.augment.prefetch import Copies
from host.train.batches import SoftTargets
from host.train.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Asked:
    """A trained teacher."""

    parameters: Parameters
    scaling: Scaling


def opinions(
    recipe: Recipe, architecture: Architecture, teachers: Sequence[Asked], copies: Copies
) -> Callable[[int], SoftTargets | None]:
    """Return what gives the opinion on an epoch's images; each copy is asked about once.

    `copies` are in the codes of `architecture`; a teacher with another front end looks at the images behind them.
    """
    rules = recipe.teacher
    if rules is None:
        return lambda epoch: None

    def seen_by(teacher: Architecture, number: int) -> NDArray[Any]:
        same = teacher.layers[: teacher.fixed] == architecture.layers[: architecture.fixed]
        return copies.at(number) if same else codes(teacher, copies.images(number))

    @cache
    def ask(number: int) -> SoftTargets:
        said = [
            inference.scores(net.parameters, net.scaling, seen_by(net.parameters.architecture, number))
            for net in teachers
        ]
        softened = [softmax(found.T / rules.temperature).T for found in said]
        return SoftTargets(np.mean(softened, axis=0, dtype=np.float32), rules.temperature, rules.hard)

    return lambda epoch: ask(copies.number(epoch))
