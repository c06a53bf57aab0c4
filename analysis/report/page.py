"""An HTML page that works without a network: what every report is put together from.

Everything is in the file: plotly.js, figures, images as data URIs. Its content security policy forbids any request, so
that this holds whatever a library would like to fetch. Python computes records; the templates, in `templates/`, lay
them out and do nothing else. All text that a template shows passes `_visible`, and is then escaped: no other place does
either. All parts of a section are made by themselves, so that one that fails is a note in its place.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined, Undefined
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs

from ablate.analysis.figures.style import CONFIG
from ablate.analysis.format import shown
from ablate.analysis.guard import attempt
from ablate.search_spaces.profiles import PROFILES

if TYPE_CHECKING:
    import plotly.graph_objects as go

Part = Callable[[], Markup]
"""Makes a part of a page, or nothing where there is nothing to say."""
NOTHING = Markup("")
_MOST_WHOLE = 100_000
"""Characters of a text that is shown whole."""


def _visible(value: object) -> object:
    """What a template shows: HTML as it is, text and counts as they can be shown. A number that is not whole is text
    before it comes here, for only who computed it knows its digits; what is not defined raises when it is written."""
    if isinstance(value, Markup | Undefined):
        return value
    if not isinstance(value, str | int):
        raise TypeError(f"a template shows text and counts, not {type(value).__name__}")
    return shown(str(value))


def _whole(text: str) -> Markup:
    """A text that is to be read whole: it is cut later than others."""
    return escape(shown(text, _MOST_WHOLE))


def _base64(content: bytes) -> Markup:
    return Markup(base64.b64encode(content).decode("ascii"))


_TEMPLATES = Environment(
    loader=PackageLoader("ablate.analysis.report"),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_visible,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters.update(whole=_whole, base64=_base64)


def laid_out(template: str, **values: object) -> Markup:
    """The HTML that `template` (its name without the ending) makes of `values`."""
    return Markup(_TEMPLATES.get_template(f"{template}.html").render(values))


# Pages ---------------------------------------------------------------------------------------------------------------


def document(title: str, body: Markup) -> str:
    """The whole page, with plotly.js where `body` has a figure."""
    page = laid_out(
        "document",
        title=title,
        body=body,
        style=_file("report.css"),
        script=_script(body),
        plotly=Markup(get_plotlyjs()) if 'class="plot"' in body else NOTHING,
    )
    return page.encode(errors="replace").decode()  # no half of a character gets past `_visible`; a page must be written


def report_page(
    title: str,
    question: str,
    cautions: Sequence[str],
    sections: Iterable[Markup],
    head: Mapping[str, str] | None = None,
) -> str:
    """A page of sections, under its title, the question it answers, what must be known before it is believed, and when
    and how it was made (`head`)."""
    body = laid_out(
        "report", title=title, question=question, cautions=cautions, head=head or {}, sections=list(sections)
    )
    return document(title, body)


def figure_page(
    figures: Mapping[str, go.Figure], title: str, banner: str = "", captions: Mapping[str, str] | None = None
) -> str:
    """A page with figures by name, and their captions. `banner` is a caution, or nothing."""
    plots = [plot(drawn, f"figure{number or ''}", name) for number, (name, drawn) in enumerate(figures.items())]
    return document(title, laid_out("figures", title=title, banner=banner, plots=plots, captions=captions or {}))


_NETWORKS = ("values", "look", "front", "labels", "views", "table", "compare")
"""Scripts of the networks' part, in the order in which they need each other; `networks.js` is the last."""


def _script(body: Markup) -> Markup:
    if 'class="networks"' not in body:
        return _file("report.js")
    return _file("report.js") + Markup("\n") + networks_script()


def networks_script() -> Markup:
    """What draws the part of a page that has all networks, once it is there."""
    files = [*(f"networks_{name}.js" for name in _NETWORKS), "networks.js"]
    return Markup("\n").join([Markup("(() => {"), *map(_file, files), Markup("})();")])


def _file(name: str) -> Markup:
    """A file that lies beside this one."""
    return Markup(resources.files("ablate.analysis.report").joinpath(name).read_text(encoding="utf-8"))


def cautions_of(profiles: Iterable[str]) -> list[str]:
    """What the profiles, by their names, must say of numbers made under them."""
    return [note for name in profiles if name in PROFILES and (note := PROFILES[name].note)]


# Sections and their parts --------------------------------------------------------------------------------------------


def section(title: str, *parts: Part) -> Markup:
    """A section, or nothing where it would be empty. A part that cannot be made is a note in its place."""
    inside = together(parts)
    return laid_out("section", title=title, inside=inside) if inside else NOTHING


def together(parts: Iterable[Part]) -> Markup:
    return NOTHING.join(map(made, parts))


def made(part: Part, heading: str = "") -> Markup:
    """What `part` gives, or, under `heading`, a note that says why it could not be made."""
    return attempt(part, lambda why: laid_out("failed_part", heading=heading, why=why))


class Plot(NamedTuple):
    """A figure as Plotly writes it. `name` is its id, `title` is for who cannot see it."""

    name: str
    title: str
    html: Markup


def plot(drawn: go.Figure, name: str, title: str) -> Plot:
    html = drawn.to_html(full_html=False, include_plotlyjs=False, config=CONFIG, div_id=name, default_height="auto")
    return Plot(name, title, Markup(html))
