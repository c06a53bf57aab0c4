"""What was measured of each cell's network, `measurements.json`, with its checksum."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ablate.cost.measured import Measured
from ablate.errors import InputError
from ablate.files import read_regular, sha256, write_whole
from ablate.settings import explain
from ablate.study.runs import Key

NAME = "measurements.json"
_MEASUREMENTS = TypeAdapter(dict[Key, Measured])


def read_measurements(study: Path) -> dict[str, Measured]:
    """Latency and peak memory by cell. Raises `InputError` if the file is damaged."""
    file = study / NAME
    try:
        found = json.loads(read_regular(file))
        if isinstance(found, dict) and set(found) == {"sha256", "measurements"}:
            digest, found = found["sha256"], found["measurements"]
            if digest != sha256(_canonical(found)):
                raise ValueError("it is not what was written")
        return _MEASUREMENTS.validate_python(found)
    except FileNotFoundError:
        return {}
    except (ValueError, OSError, RecursionError) as error:  # ValidationError is a ValueError
        reason = explain(error) if isinstance(error, ValidationError) else getattr(error, "strerror", None) or error
        raise InputError(f"'{file}' cannot be read ({reason}): delete it, and measure again") from None


def write_measurements(study: Path, measured: dict[str, Measured]) -> None:
    kept = _MEASUREMENTS.dump_python(measured, mode="json")
    sealed = {"sha256": sha256(_canonical(kept)), "measurements": kept}
    write_whole(study / NAME, json.dumps(sealed, indent=1).encode())


def _canonical(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
