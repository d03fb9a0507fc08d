"""Every named way to train, of both families of nets."""

import difflib
from collections.abc import Mapping

from host.errors import InputError
from host.train.learned_presets import LEARNED_PRESETS
from host.train.preconv_presets import PRECONV_PRESETS
from host.train.preset import Preset
from host.train.recipe import LearnedRecipe
from host.train.two_layer.recipe import PreconvRecipe

Recipe = PreconvRecipe | LearnedRecipe

PRESETS: Mapping[str, Preset[Recipe]] = {**PRECONV_PRESETS, **LEARNED_PRESETS}


def find(name: str) -> Preset[Recipe]:
    """Return the preset of this name. Raises InputError, with the nearest name, when there is none."""
    if name in PRESETS:
        return PRESETS[name]
    near = difflib.get_close_matches(name.casefold(), PRESETS, n=1, cutoff=0.4)
    advice = f"did you mean '{near[0]}'?" if near else "choose one of them"
    raise InputError(f"preset: name: found '{name}', need one of {', '.join(PRESETS)}; {advice}")
