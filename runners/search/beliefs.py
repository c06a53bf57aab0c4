"""What a space calls promising, as searches go by it.

What a candidate is worth is multiplied by a weight that its doubt lowers, and that nears one as configurations are
begun: a right belief leads at once, a wrong one is forgotten. Hvarfner et al. 2022, "πBO: Augmenting Acquisition
Functions with User Beliefs" (arXiv 2204.11051), where the exponent is β / n; there, with the decay, no belief keeps a
search from converging.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ablate.part import Part
from ablate.runners.search.surrogate import Floats
from ablate.search_spaces.designs import Choice, choose, draw, draw_one
from ablate.search_spaces.promising import Belief, doubt
from ablate.search_spaces.ranges import Range
from ablate.search_spaces.space import Space

_DECADES = 2.0
"""A whole doubt divides by ten to so many powers, over the number of configurations that were begun."""


def doubt_of(space: Space, choice: Mapping[str, str | int | float]) -> float:
    """How much of what is believed of `space` does not hold for a configuration, from 0 to 1."""
    return doubt(space.promising, space.factors, choice) if space.promising else 0.0


def weights(doubts: Floats, begun: int) -> Floats:
    """What candidates' worths are multiplied by: (m,), above 0 and at most 1."""
    return np.asarray(10.0 ** (-_DECADES * doubts / max(begun, 1)))


def draw_believing(space: Space, rng: np.random.Generator) -> Choice:
    """A configuration drawn at random; of a space with beliefs every other time one of which all hold."""
    promising = space.promising
    if not promising or rng.random() < 0.5:
        return draw(space, rng)

    def pick(name: str, options: list[str] | Range) -> str | int | float:
        return _within(promising[name], options, rng) if name in promising else draw_one(options, rng)

    return choose(space, pick)


def unheeded(space: Space, sampler: Part) -> str:
    """What is to be said where a sampler does not go by a space's beliefs. Your own may: it is given the space."""
    if not space.promising or sampler.made_by or sampler.name == "known_cost":
        return ""
    return f"sampler {sampler.name} does not go by what the space calls promising; --search and known_cost do"


def _within(belief: Belief, options: list[str] | Range, rng: np.random.Generator) -> str | int | float:
    if isinstance(belief, tuple):
        return draw_one(list(belief), rng)
    assert isinstance(options, Range)
    if belief.low == belief.high:
        return belief.low
    drawn = draw_one(options.model_copy(update={"low": belief.low, "high": belief.high, "step": None}), rng)
    if options.step is None:
        return drawn
    return min(options.low + options.step * round((float(drawn) - options.low) / options.step), options.high)
