"""The networks of a space, without its data."""

from __future__ import annotations

from collections.abc import Callable

from ablate.errors import InputError
from ablate.part import Part
from ablate.search_spaces.designs import expand
from ablate.search_spaces.fields import assign, network_of_space
from ablate.search_spaces.located import located
from ablate.search_spaces.space import Fields, Space, nested


def networks_of(
    space: Space, overrides: Fields, refused: Callable[[dict[str, str], str], None] = lambda levels, reason: None
) -> list[tuple[dict[str, str], Part]]:
    """The distinct networks of `space` that can be built, each with the levels it has first.

    `refused` is told of each configuration that cannot be, by its levels, and why. Raises `InputError` where none can.
    """
    from ablate.cost.counted import check_can_be_built

    found: dict[Part, dict[str, str]] = {}
    reason = InputError(f"space {space.name} has no configuration")
    for made in expand(space):
        tree = nested(space.base)
        try:
            for path, value in {**made.fields, **overrides}.items():
                assign(tree, path, value)
            with located(space, made.levels, {path: f"--set {path}" for path in overrides}):
                model = network_of_space(tree, space.name)
            if model not in found:
                check_can_be_built(model, 1, 1)
                found[model] = made.levels
        except InputError as error:
            reason = error
            refused(made.levels, str(error))
    if not found:
        raise reason
    return [(levels, model) for model, levels in found.items()]
