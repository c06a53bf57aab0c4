"""The `ablate` command."""

from __future__ import annotations

import contextlib
import datetime
import errno
import importlib
import os
import platform
import re
import shlex
import signal
import sys
import tempfile
import traceback
from typing import Any, NamedTuple

import click

from ablate import DISTRIBUTION
from ablate.analysis.format import shortened, shown
from ablate.errors import Halted, InputError
from ablate.runners.cli.manners import options, with_options
from ablate.runners.cli.output import close_streams, open_streams, say

_MACHINE_SAYS_NO = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)
_NO_SUCH_PLACE = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR)
"""A path that was given cannot be one."""
_LONGEST_MESSAGE = 500
_LONGEST_REASON = 160
_COMMANDS = {
    "init": "make a folder with a network, a space and a claim of your own to start from",
    "parts": "list what can be named in a space, and what each part can be set to",
    "check": "try whether a part does what its kind must, and say what to mend",
    "spaces": "list the search spaces: what each asks, and how many configurations it has",
    "datasets": "list the data sets: what each is, and the files it expects",
    "data": "look at a data set before anything is spent on it: ablate data check DIR",
    "plan": "price a space and reject what cannot be built, before anything is spent",
    "cost": "parameters and MACs of a network, or of a space's networks",
    "run": "train what a space asks for and a study does not have yet; then report",
    "status": "what a study has, what is running, what is missing",
    "watch": "a page that shows a study as it grows, in your browser",
    "verify": "check that a study is what was written, and set aside what is not",
    "export": "write one of a study's tables",
    "pareto": "the Pareto front of a study, printed or as an interactive page",
    "report": "write a study's report: one HTML file that works offline",
    "figure": "write one of a report's figures for print: PDF, SVG or PNG",
    "measure": "time a study's networks, and weigh their memory, one at a time",
    "effects": "what each level of each factor is worth, with its uncertainty",
    "register": "register a claim in a study, before there are test scores to judge it by",
    "power": "how many seeds, images and folds would likely decide a claim",
    "claim": "judge a claim: each hypothesis supported, refuted or inconclusive",
    "table": "the results as a paper prints them: LaTeX, Markdown or CSV",
    "compare": "several studies side by side, with ranks over their data sets",
    "paper": "check the PyConvU-Net paper's published numbers",
    "confirm": "train a search's front again with fresh seeds, and judge it on test images",
    "replay": "what a search would have found in a finished study, and at what cost",
    "dashboard": "open optuna-dashboard on a study",
    "predict": "segment images with a trained trial",
    "export-model": "write a trained network as a file that runs without ablate",
}


class _Commands(click.Group):
    """Each command is a module of this package, imported only when it is called for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module = name.replace("-", "_")
        return with_options(getattr(importlib.import_module(f"ablate.runners.cli.{module}"), module))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            from ablate.errors import unknown

            raise unknown("command", args[0], _COMMANDS)
        return super().resolve_command(ctx, args)


@click.command(
    cls=_Commands, params=options(), context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80}
)
@click.version_option(package_name=DISTRIBUTION, message="ablate %(version)s")
def ablate() -> None:
    """Find out which parts of a segmentation network earn their cost.

    \b
    Examples:
      ablate run --space pyramid_levels      a whole study, on packaged data
      ablate plan --space baselines          what it would cost
      ablate report studies/pyramid_levels-mni152-quick
      ablate init mine                       a network of your own to start from

    A STUDY is the folder of a run, or its name in studies/, of which the
    beginning is enough.

    \b
    Completion in bash (or zsh_source, fish_source):
      eval "$(_ABLATE_COMPLETE=bash_source ablate)"
    """


class _Ended(NamedTuple):
    """How a command ended: its exit code, and what there is to say of that in one line."""

    code: int
    line: str = ""


def main() -> None:
    """Run the command line.

    The exit code is 0 on success; 2 for bad input, and 1 for a disk that is full, output that cannot be written, or
    what nobody foresaw, each with one line on standard error; 130 when interrupted.
    """
    open_streams()
    try:
        ended = _run(sys.argv[1:] or ["--help"])
    except KeyboardInterrupt:  # a second one, while the first was being dealt with
        ended = _Ended(130)
    # What is left is the end of the process, of its threads and of Ray: another Ctrl-C hastens it without a traceback.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    unwritten = close_streams()
    if unwritten and not ended.code:
        ended = _Ended(1, f"standard output cannot be written: {unwritten}")
    if ended.line:
        say("ablate: " + shortened(" ".join(shown(ended.line).split()), _LONGEST_MESSAGE), err=True)
    sys.exit(ended.code)


def _run(arguments: list[str]) -> _Ended:
    try:
        code = ablate.main(arguments, standalone_mode=False)
    except SystemExit as end:
        code = end.code
        return _Ended(code) if isinstance(code, int) else _Ended(1 if code else 0, str(code or ""))
    except (KeyboardInterrupt, click.Abort):
        return _Ended(130)
    except InputError as error:
        return _Ended(2, str(error))
    except click.ClickException as error:
        return _Ended(2, _of_usage(error))
    except Halted as error:
        return _Ended(1, str(error))
    except OSError as error:
        return _of_the_system(error, arguments)
    except RuntimeError as error:
        if str(error).startswith("Symlink loop from "):  # a ring of links, as Python before 3.13 says it
            return _Ended(2, f"{error}: give another path")
        return _unforeseen(error, arguments)
    except BaseException as error:  # extensions in Rust panic with one that is no Exception
        return _unforeseen(error, arguments)
    return _Ended(code if isinstance(code, int) else 0)


def _of_usage(error: click.ClickException) -> str:
    """What was wrong with a command line, and where it is told what would be right."""
    said = error.format_message().removesuffix(".")
    if isinstance(error, click.BadParameter) and not isinstance(error, click.MissingParameter):
        return said + _nearest_choice(said)
    if "Did you mean" in said or not isinstance(error, click.UsageError) or error.ctx is None:
        return said
    return f"{said}: `{error.ctx.command_path} --help` says what there is"


def _nearest_choice(said: str) -> str:
    """Of a value that is none of an option's choices, the nearest that is."""
    _, *quoted = re.findall("'([^']*)'", said)
    if " is not one of " not in said or not quoted:
        return ""
    from ablate.errors import did_you_mean

    return did_you_mean(quoted[0], quoted[1:])


def _of_the_system(error: OSError, arguments: list[str]) -> _Ended:
    if error.errno in _NO_SUCH_PLACE and error.filename is not None:
        return _Ended(2, f"'{error.filename}' cannot be used: {error.strerror}")
    if error.errno in _MACHINE_SAYS_NO:
        where = "" if error.filename is None else f"'{error.filename}' cannot be read or written: "
        return _Ended(1, f"{where}{error.strerror}; no finished trial is lost")
    return _unforeseen(error, arguments)


def _unforeseen(error: BaseException, arguments: list[str]) -> _Ended:
    """The last resort: what happened in a line, and the traceback in a file that the line names."""
    lines = str(error).strip().splitlines() or [""]
    said = lines[-1] if lines[0].startswith("Traceback") else lines[0]  # Ray hands on a whole traceback as the reason
    what = shortened(f"{type(error).__name__}: {said}" if said else type(error).__name__, _LONGEST_REASON)
    kept = "no finished trial is lost"
    if arguments[0] in ("run", "confirm"):
        kept = "every trial that ended is kept, and the same command goes on from there"
    try:
        where = f"the traceback is in {_keep_traceback(error, arguments)}"
    except OSError as failure:
        where = f"the traceback could not be kept ({failure.strerror})"
    return _Ended(1, f"unforeseen: {what}; {kept}; {where}")


def _keep_traceback(error: BaseException, arguments: list[str]) -> str:
    """Write what a maintainer needs into a new file that only this user may read. Raises `OSError`."""
    import importlib.metadata

    started = f"ablate-error-{datetime.datetime.now():%Y%m%d-%H%M%S}-"
    descriptor, path = tempfile.mkstemp(prefix=started, suffix=".txt")
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"{shlex.join(['ablate', *arguments])}\n{platform.platform()}, Python {platform.python_version()}\n")
        for name in (DISTRIBUTION, "click", "numpy", "optuna", "pandas", "pydantic", "ray", "rich", "torch"):
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                file.write(f"{name} {importlib.metadata.version(name)}\n")
        file.write("\n")
        file.writelines(traceback.format_exception(error))
    return path
