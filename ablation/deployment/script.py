"""`segment_image.py` with what one exported network needs to know: a file of its own, which needs no `ablate`."""

from __future__ import annotations

import pprint
from importlib.resources import files
from typing import Any

from ablate.data.axes import Reading
from ablate.data.fit import fit_of
from ablate.data.intensity import intensities
from ablate.data.writing import values_of
from ablate.deployment.formats import Format
from ablate.errors import InputError
from ablate.trial import TrialConfig

_PLACE = "SETTINGS: dict[str, Any] = {}\n"
_WHITE = 255


def settings_of(trial: TrialConfig, form: Format, file: str) -> dict[str, Any]:
    """How images are prepared for the network of `trial`, and what its masks hold, as plain data."""
    data, protocol = trial.data, trial.protocol
    values = values_of(data)
    black_and_white = len(values.numbers) == 2 and not values.are_given
    return {
        "file": file,
        "format": form.name,
        "network": trial.model.name,
        "trial": trial.key,
        "channels": data.channels,
        "use_channels": list(Reading.of(data).use_channels),
        "size": list(data.size),
        "fit": fit_of(data),
        "intensity": [intensity.model_dump(exclude_none=True) for intensity in intensities(data)],
        "overlap": protocol.window_overlap,
        "flips": list(protocol.test_flips),
        "values": [0, _WHITE] if black_and_white else list(values.numbers),
    }


def script_of(settings: dict[str, Any]) -> str:
    """The text of a Python file that segments pictures by these settings: each scaled by its own values, for a picture
    knows of no volume."""
    source = files("ablate.deployment").joinpath("segment_image.py").read_text(encoding="utf-8")
    filled = source.replace(_PLACE, f"SETTINGS: dict[str, Any] = {pprint.pformat(settings, width=100)}\n")
    if filled == source:
        raise InputError("segment_image.py has no place for its settings: reinstall ablate")
    return filled
