"""What a sampler is to a search: settings, and `build`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ablate.errors import InputError
from ablate.kinds import KINDS, Asked, name_of, own_parts, part_of
from ablate.part import Part
from ablate.settings import Config

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from ablate.runners.search.catalogue import Catalogue

_BY_DESIGN = "is a design: use design: grid"
_REFUSED = {"cmaes": "optimises one objective, this search has three", "grid": _BY_DESIGN, "bruteforce": _BY_DESIGN}
"""Samplers that a user may look for, and why there are none."""


class Setting(NamedTuple):
    """What a sampler is made for: `seed` is the search's, `fresh` this question's."""

    catalogue: Catalogue
    """The space, and what its configurations cost."""
    trials: int
    """Configurations that the search may propose in all."""
    seed: int
    fresh: int


class Sampler(Config):
    """Base of all samplers: settings as typed fields, and `build`.

    class Patient(Sampler):
        startup: int = 20

        def build(self, setting):
            return optuna.samplers.TPESampler(seed=setting.fresh, n_startup_trials=self.startup)
    """

    def build(self, setting: Setting) -> BaseSampler:
        """One of Optuna's samplers, for one question: validation Dice, to be large; parameters and MACs, to be small.

        Each question is put to a fresh one, over a study of what was proposed before and how it ended. So it is to take
        its randomness from `setting`, and to remember nothing but what it notes in that study.
        """
        raise NotImplementedError(f"{type(self).__name__} has no build")


def sampler_part(asked: Asked) -> Part:
    """A sampler as a user named it, checked. Raises `InputError` for one that does not exist, or does not apply."""
    name = name_of(asked)
    if isinstance(name, str) and name in _REFUSED:
        known = ", ".join(own_parts(KINDS["sampler"]))
        raise InputError(f"sampler {name} {_REFUSED[name]}; choose one of: {known}")
    return part_of(KINDS["sampler"], asked)
