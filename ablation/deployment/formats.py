"""The forms in which a trained network leaves."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from ablate.errors import InputError, unknown


class ExportError(InputError):
    """A network that a format has no form for, or not the network's: the message names what it lacks."""


class Format(NamedTuple):
    name: str
    suffix: str
    needs: tuple[str, ...] = ()
    """Modules that are not installed with this project, but by its extra."""
    extra: str = ""


FORMATS = {
    form.name: form
    for form in (
        Format("onnx", ".onnx", ("onnx", "onnxscript", "onnxruntime"), "onnx"),
        Format("torchscript", ".pt"),
        Format("pt2", ".pt2"),
        Format("executorch", ".pte", ("executorch",), "executorch"),
    )
}


def format_of(path: Path, asked: str | None = None) -> Format:
    """The form that a file's name asks for, or `asked` by its name.

    Raises `InputError` for a suffix that no form has, that is another's, and where what it needs is not installed.
    """
    known = ", ".join(f"{form.suffix} ({form.name})" for form in FORMATS.values())
    if asked is not None and asked not in FORMATS:
        raise unknown("format", asked, FORMATS)
    by_suffix = {form.suffix: form for form in FORMATS.values()}
    found = by_suffix.get(path.suffix.lower())
    if found is None:
        raise InputError(f"-o {path}: expected a name that ends in one of {known}")
    if asked is not None and found.name != asked:
        raise InputError(f"-o {path} is of format {found.name}, and --format {asked} ends in {FORMATS[asked].suffix}")
    check_installed(found)
    return found


def check_installed(form: Format) -> None:
    """Raises `InputError` where a form needs what is not installed."""
    missing = [module for module in form.needs if find_spec(module) is None]
    if missing:
        clone = f"pip install -c constraints.txt '.[{form.extra}]' in a clone"
        raise InputError(f"format {form.name} needs {', '.join(missing)}: {clone}, or pip install {' '.join(missing)}")
