"""`ablate watch`."""

from __future__ import annotations

import os
import sys
import threading
import webbrowser
from pathlib import Path

import click

from ablate.runners.cli.naming import study_argument
from ablate.runners.cli.output import note, say


@click.command()
@study_argument
@click.option("--port", type=click.IntRange(0, 65535), default=8081, show_default=True, help="0 takes any free one.")
@click.option(
    "--open/--no-open", "opens", default=None, help="Open it in a browser [default: on a terminal with a screen]."
)
def watch(study: Path, port: int, opens: bool | None) -> None:
    """Watch a study grow while it trains: a page in your browser.

    It shows what the report will: front, networks and curves so far; beside
    them trials, machines, failures and the expected end. It may be started
    before the run, and goes on over a kill to the next. The study is only read.

    It is served to this machine only, to who has the address with its token.
    End it with Ctrl-C.

    \b
    Examples:
      ablate watch studies/pyramid_levels-mni152-quick
      ablate watch STUDY --port 0 --no-open

    \b
    Of a study on another machine, through SSH; then open the address here:
      ssh -L 8081:127.0.0.1:8081 lab7 ablate watch STUDY --no-open
    """
    from ablate.runners.cli.live_page import LivePage
    from ablate.runners.watch.serving import Server

    page = LivePage(study)
    standing = page.check()
    server = Server(port)
    with server:
        server.pages = page.pages(server.token)
        say(standing)
        say(f"{server.address}  (Ctrl-C ends it)")
        if opens or (opens is None and sys.stdout.isatty() and _has_screen()):
            threading.Thread(target=_open, args=(server.ticket(),), daemon=True).start()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


def _has_screen() -> bool:
    """Whether a browser would be seen: one in a terminal would take this command's."""
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _open(address: str) -> None:
    try:
        opened = webbrowser.open(address)
    except webbrowser.Error:
        opened = False
    if not opened:
        note("no browser was found: open the address yourself")
