"""Options about what networks cost, and about the files that they leave as."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ablate.cost.names import RUNTIMES, cost_named, runtime_named
from ablate.runners.cli import completion

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames
    from ablate.study.study import Study

F = TypeVar("F", bound=Callable[..., Any])


def cost_option(command: F) -> F:
    """What is on the axis of cost."""
    return click.option(
        "--x",
        metavar="COST",
        default="params",
        show_default=True,
        callback=lambda context, option, text: cost_named(text),
        help="params, macs, latency_ms or peak_memory_mb; of files latency_ms@onnx, peak_memory_mb@onnx, file_mb@onnx, "
        "…@onnx-int8.",
        shell_complete=completion.costs,
    )(command)


def runtime_option(command: F) -> F:
    """Whose masks are scored."""
    return click.option(
        "--runtime",
        metavar="NAME",
        callback=lambda context, option, text: text and runtime_named(text),
        help=f"Score the masks that files find there ({', '.join(RUNTIMES)}), not the networks'.",
        shell_complete=completion.runtimes,
    )(command)


def in_runtime(frames: Frames, study: Study, runtime: str | None) -> Frames:
    """The same tables, scored by what files find in a runtime; None leaves them. Raises `InputError` where none was."""
    if not runtime:
        return frames
    from ablate.analysis.by_runtime import check_scored, scored_in

    found = scored_in(frames, study, runtime)
    check_scored(found, study.path)
    return found
