"""What was measured of each cell's network, `measurements.json`, with its checksum."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from ablate.cost.measured import Measured
from ablate.errors import InputError
from ablate.files import read_regular, sha256, write_whole
from ablate.settings import explain
from ablate.study.runs import Key

T = TypeVar("T")
NAME = "measurements.json"
_MEASUREMENTS = TypeAdapter(dict[Key, Measured])


def read_measurements(study: Path) -> dict[str, Measured]:
    """Latency and peak memory by cell. Raises `InputError` if the file is damaged."""
    return read_sealed(study / NAME, _MEASUREMENTS)


def write_measurements(study: Path, measured: dict[str, Measured]) -> None:
    write_sealed(study / NAME, _MEASUREMENTS, measured)


def read_sealed(file: Path, kind: TypeAdapter[dict[str, T]]) -> dict[str, T]:
    """What `write_sealed` wrote there; nothing where there is no file. Raises `InputError` if it is damaged."""
    try:
        found = json.loads(read_regular(file))
        if isinstance(found, dict) and set(found) == {"sha256", "measurements"}:
            digest, found = found["sha256"], found["measurements"]
            if digest != sha256(_canonical(found)):
                raise ValueError("it is not what was written")
        return kind.validate_python(found)
    except FileNotFoundError:
        return {}
    except (ValueError, OSError, RecursionError) as error:  # ValidationError is a ValueError
        reason = explain(error) if isinstance(error, ValidationError) else getattr(error, "strerror", None) or error
        raise InputError(f"'{file}' cannot be read ({reason}): delete it, and measure again") from None


def write_sealed(file: Path, kind: TypeAdapter[dict[str, T]], measured: dict[str, T]) -> None:
    """What was measured by cell, with its checksum, in place of what is there."""
    kept = kind.dump_python(measured, mode="json")
    write_whole(file, json.dumps({"sha256": sha256(_canonical(kept)), "measurements": kept}, indent=1).encode())


def _canonical(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
