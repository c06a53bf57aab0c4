"""An HTML page that works without a network: what every report is put together from.

Everything is in the file: plotly.js, figures, images as data URIs. Its content security policy forbids any request, so
that this holds whatever a library would like to fetch. All text that comes in passes `escape`, here or where it is
called; all parts of a section are made by themselves, so that one that fails is a note in its place.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterable, Mapping
from importlib import resources
from typing import TYPE_CHECKING

from plotly.offline import get_plotlyjs

from ablate.analysis.figures.style import CONFIG
from ablate.analysis.format import shown
from ablate.analysis.report.guard import attempt

if TYPE_CHECKING:
    import plotly.graph_objects as go

_POLICY = (
    "default-src 'none'; img-src data: blob:; font-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
)


_MOST_WHOLE = 100_000
"""Characters of a text that is shown whole."""


def escape(text: str, whole: bool = False) -> str:
    """Text as HTML shows it. A very long one is cut in its middle; less so one that is to be read `whole`."""
    return html.escape(shown(text, _MOST_WHOLE) if whole else shown(text))


def document(title: str, body: str) -> str:
    """The whole page, with plotly.js where `body` has a figure."""
    script = f"<script>{get_plotlyjs()}</script>" if 'class="plot"' in body else ""
    page = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_file('report.css')}</style>\n{script}\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n<script>\n{_file('report.js')}</script>\n</body>\n</html>\n"
    )
    return page.encode(errors="replace").decode()  # no half of a character gets past `escape`; a page must be written


def figure_page(
    figures: Mapping[str, go.Figure], title: str, banner: str = "", captions: Mapping[str, str] | None = None
) -> str:
    """A page with figures by name, and their captions. `banner` is a caution, or nothing."""
    body = "".join(
        (f"<h2>{escape(name)}</h2>" if len(figures) > 1 else "")
        + figure(drawn, f"figure{number or ''}", name)
        + (note(escape(captions[name])) if captions else "")
        for number, (name, drawn) in enumerate(figures.items())
    )
    return document(title, f"<h1>{escape(title)}</h1>{caution(banner)}{body}")


def _file(name: str) -> str:
    return resources.files("ablate.analysis.report").joinpath(name).read_text(encoding="utf-8")


# Parts; what they are given is HTML, unless it is called text or title -----------------------------------------------


def section(title: str, *parts: Callable[[], str]) -> str:
    """A section, or nothing where it would be empty. A part that cannot be made is a note in its place."""
    inside = "".join(map(made, parts))
    return f"\n<section>\n<h2>{escape(title)}</h2>\n{inside}\n</section>" if inside else ""


def made(part: Callable[[], str], heading: str = "") -> str:
    """What `part` gives, or, under `heading`, a note that says why it could not be made."""
    return attempt(part, lambda why: heading + note(escape(f"This part could not be made: {why}")))


def caution(text: str) -> str:
    return f'<p class="banner" role="note">{escape(text)}</p>' if text else ""


def note(content: str) -> str:
    return f'<p class="note">{content}</p>'


def items(texts: Iterable[str]) -> str:
    found = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f"<ul>{found}</ul>" if found else ""


def facts(named: Mapping[str, str]) -> str:
    entries = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in named.items() if value)
    return f"<dl>{entries}</dl>"


def folded(title: str, content: str) -> str:
    """What only some want to see; paper shows it."""
    return f"<details><summary>{escape(title)}</summary>{content}</details>"


def figure(drawn: go.Figure, name: str, title: str) -> str:
    plot = drawn.to_html(full_html=False, include_plotlyjs=False, config=CONFIG, div_id=name, default_height="auto")
    return f'<div class="plot" role="group" aria-label="{escape(title)}">{plot}</div>'


# Tables --------------------------------------------------------------------------------------------------------------


def table(kind: str, headers: Iterable[str], rows: Iterable[str], title: str, name: str = "") -> str:
    """A table in a box of its own, that scrolls sideways (by keyboard too) so that the page does not."""
    identity = f' id="{name}"' if name else ""
    return (
        f'<div class="wide" role="region" aria-label="{escape(title)}" tabindex="0"><table class="{kind}"{identity}>'
        f"<thead><tr>{''.join(headers)}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def header(text: str, number_from: str = "", now: str | None = None) -> str:
    """A column's header that sorts; for numbers, `number_from` is the order that a first click gives."""
    kind = f' class="number" data-first="{number_from}"' if number_from else ""
    sort = f' aria-sort="{now}"' if now else ""
    return f'<th scope="col"{kind}{sort}><button type="button">{escape(text)}</button></th>'


def plain_header(text: str, number: bool = False) -> str:
    return f'<th scope="col"{" class=number" if number else ""}>{escape(text)}</th>'


def cell(text: str, missing: str = "") -> str:
    return f'<td data-sort="{escape(text)}">{escape(text or missing)}</td>'


def number(value: float, text: str, below: str = "") -> str:
    """A number that sorts by `value`; `below` stands small beneath it."""
    if not math.isfinite(value):
        return '<td class="number" data-sort="">–</td>'
    under = f"<small>{escape(below)}</small>" if below else ""
    return f'<td class="number" data-sort="{value:.10g}">{escape(text)}{under}</td>'
