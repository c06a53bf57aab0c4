"""How a command line names a study, a cell and a trial: the same way in every command.

A study is named by its path, or by the name of its folder in `studies/`, where `ablate run` puts it; of that name the
beginning is enough, if only one begins so. A path that leads to a study comes first. Cells and trials are named as
`ablate.study.chosen` says.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from ablate.errors import InputError, brief, nearest

if TYPE_CHECKING:
    from collections.abc import Callable

    from ablate.study.study import Study

F = TypeVar("F", bound="Callable[..., Any]")
STUDIES = Path("studies")
"""Where `ablate run` keeps studies, below the current folder."""
_LISTED = 4


class StudyName(click.ParamType):
    """The path of a study, by its path or by its name. `begun`: whether it may be one that there is not yet."""

    name = "study"

    def __init__(self, *, begun: bool = False) -> None:
        self._begun = begun

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        return value if isinstance(value, Path) else study_named(str(value), begun=self._begun)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Names, and folders; the shell forgets what comes before those."""
        found = [CompletionItem(name) for name in sorted(names()) if name.startswith(incomplete)]
        return [CompletionItem(incomplete, type="dir"), *found]


def study_named(text: str, *, begun: bool = False) -> Path:
    """The path of the study that `text` names: see above. What is none is said by `open_study`.

    `begun`: whether there need be none yet; then a name is whole. Raises `InputError` for the beginning of several.
    """
    path = Path(text)
    if _is_study(path):
        return path
    known = sorted(names())
    if text in known:
        return STUDIES / text
    if begun or _is_there(path):
        return path
    found = [name for name in known if text and name.startswith(text)]
    if len(found) == 1:
        return STUDIES / found[0]
    if found:
        listed = ", ".join(found[:_LISTED]) + ", …" * (len(found) > _LISTED)
        raise InputError(f"study '{brief(text)}' begins {listed} in '{STUDIES}': give more of it")
    return path


def open_study(path: Path) -> Study:
    """The study there. Raises `InputError` as `Study.open`; where nothing is, it names the nearest that is one."""
    from ablate.study.study import Study

    if not _is_there(path):
        near = nearest(str(path), [*(str(path.parent / name) for name in names(path.parent)), *names()])
        hint = f"did you mean '{near}'?" if near else f"give the folder of a run, or its name in '{STUDIES}'"
        raise InputError(f"'{path}' is not a study (there is no such folder): {hint}")
    return Study.open(path)


def names(folder: Path = STUDIES) -> Iterator[str]:
    """The names of the studies in a folder; none where it cannot be read."""
    try:
        yield from (one.name for one in folder.iterdir() if _is_study(one))
    except OSError:
        return


def _is_study(path: Path) -> bool:
    from ablate.study.manifest import is_study

    try:
        return is_study(path)
    except (OSError, ValueError):  # a name too long, or with a null byte: it is said when it is opened
        return False


def _is_there(path: Path) -> bool:
    from ablate.files import kind

    try:
        return bool(kind(path))
    except (OSError, ValueError):
        return True


def study_argument(command: F) -> F:
    return click.argument("study", type=StudyName())(command)


def studies_argument(command: F) -> F:
    """One study or more."""
    return click.argument("studies", nargs=-1, required=True, metavar="STUDY...", type=StudyName())(command)


def trial_named(study: Study, name: str, *, for_all: str = "") -> str:
    """The key of the trial that is meant. Arguments and errors as of `ablate.study.chosen.trial_called`."""
    from ablate.study.chosen import trial_called

    return trial_called(study, name, partial(_labels, study), for_all=for_all)


def cell_named(study: Study, name: str) -> str:
    """The key of the cell that is meant. Raises as `ablate.study.chosen.cell_called`."""
    from ablate.study.chosen import cell_called

    return cell_called(study, name, partial(_labels, study))


def trials_named(study: Study, cell: str) -> list[str]:
    """The complete trials of the cell that is meant. Raises as `ablate.study.chosen.trials_of_cell`."""
    from ablate.study.chosen import trials_of_cell

    return trials_of_cell(study, cell, partial(_labels, study))


def _labels(study: Study) -> dict[str, str]:
    from ablate.analysis.frames import cell_labels

    return cell_labels(study)
