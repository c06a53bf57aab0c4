"""`ablate dashboard`."""

from __future__ import annotations

from pathlib import Path

import click

from ablate.runners.cli.naming import open_study, study_argument
from ablate.runners.cli.output import console


@click.command()
@study_argument
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes any free one.")
def dashboard(study: Path, port: int) -> None:
    """Look at a study in optuna-dashboard, with each trial's predictions.

    It is served to this machine only, and follows a run that is under way. What
    it shows is a copy: nothing done in the page changes the study. End it with
    Ctrl-C. It is an extra, `dashboard`.

    \b
    Examples:
      ablate dashboard studies/search_pyconvunet-mni152-quick
      ablate dashboard STUDY --port 0
    """
    from ablate.runners.watch.dashboard import Mirror, serve

    out = console()
    open_study(study)
    mirror = Mirror(study)

    def ready(address: str) -> None:
        out.print(f"{mirror.trials} trials at {address}  (Ctrl-C ends it)", soft_wrap=True)

    serve(mirror, port, ready)
