"""The report: one HTML file that says what a study found, and that works without a network.

Everything is in the file: plotly.js, figures, images as data URIs. Its content security policy forbids any request, so
that this holds whatever a library would like to fetch.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image
from plotly.offline import get_plotlyjs

from analysis.figures.curves import curves, curves_figure
from analysis.figures.pareto import pareto_figure
from analysis.figures.style import CONFIG
from analysis.format import listing, model_name, score, several, si
from analysis.pareto import COSTS, METRICS, Cell, Pareto, Score, cells, fronts, tasks
from search_spaces.profiles import PROFILES

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from analysis.frames import Frames

_POLICY = (
    "default-src 'none'; img-src data: blob:; font-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
)
_TRUE_POSITIVE, _FALSE_POSITIVE, _FALSE_NEGATIVE = (255, 255, 255), (230, 159, 0), (0, 114, 178)
"""White, and Okabe and Ito's orange and blue: in grey still light, middle and dark."""
_DIM = 0.22
"""How much is left of the image beneath an overlay: darker than any of the three in grey."""


class About(NamedTuple):
    """What a report is about, and how its numbers were made."""

    title: str
    question: str
    profiles: tuple[str, ...]
    """The names of those that its trials were made under; the report opens with what each must say of its numbers."""
    facts: Mapping[str, str]
    """Name to value: data set, fingerprint, split, protocol, seeds, device, threads, versions, ..."""
    notes: tuple[str, ...] = ()
    """What was excluded, and why."""


class Picture(NamedTuple):
    """A test image as PNGs: the input, its mask, and by cell a predicted mask (white is foreground)."""

    image: str
    source: bytes
    mask: bytes
    predictions: Mapping[str, bytes]


def render(frames: Frames, about: About, pictures: Sequence[Picture] = ()) -> str:
    """The whole document."""
    known = cells(frames.trials)
    trained = [cell for cell in known if not cell.trivial]
    by_task = {name: fronts(trials) for name, trials in tasks(frames.trials).items()}
    records = [record for found in by_task.values() for record in found]
    header = f"<h1>{escape(about.title)}</h1>"
    if about.question:
        header += f'<p class="question">{escape(about.question)}</p>'
    sections = [
        header,
        *(_banner(PROFILES[profile].note or "") for profile in about.profiles if profile in PROFILES),
        *(_findings(known, found[0], name if len(by_task) > 1 else "") for name, found in by_task.items()),
    ]
    if trained:
        drawn = curves(frames)
        on_a_front = {cell for record in records for cell in record.front}
        sections += [
            _section(
                "Score against cost",
                *(
                    (f"<h3>{escape(name)}</h3>" if len(by_task) > 1 else "")
                    + _figure(pareto_figure(found), f"pareto{number or ''}", "Pareto plot of score against cost")
                    for number, (name, found) in enumerate(by_task.items())
                    if found[0].points
                ),
                '<p class="note">The line is the Pareto front: the score attained at each cost; rings mark the '
                "networks on it. Error bars: standard deviation over seeds. Dashed: predictors that look at no image; "
                "one marked “below” lies under the plot."
                '<span class="screen"> The menus change the axes; hover or tap for a network’s configuration; a click '
                "on a name in the legend takes it out or brings it in; drag to zoom, double-click to go back."
                "</span></p>",
            ),
            _section("All results", _table(known, records), _failed(frames.trials)),
        ]
        if drawn:
            sections.append(
                _section(
                    "Training",
                    _figure(curves_figure(drawn, on_a_front), "curves", "Training curves"),
                    '<p class="note">Mean over seeds; bands span their least and greatest.'
                    '<span class="screen"> A click on a name switches it.</span></p>',
                )
            )
    else:
        sections.append(_section("All results", _table(known, records) if known else "", _failed(frames.trials)))
    if pictures:
        sections.append(_section("Test images", _strip(pictures, known)))
    sections.append(_section("How this was made", _method(about)))
    return _document(about.title, "".join(sections), plots=bool(trained))


def figure_page(figures: Mapping[str, go.Figure], title: str, banner: str = "") -> str:
    """A document with figures by name, as independent of a network as the report. `banner` is a caution, or nothing."""
    body = "".join(
        (f"<h2>{escape(name)}</h2>" if len(figures) > 1 else "") + _figure(figure, f"figure{number or ''}", name)
        for number, (name, figure) in enumerate(figures.items())
    )
    return _document(title, f"<h1>{escape(title)}</h1>{_banner(banner)}{body}", plots=True)


# The page ------------------------------------------------------------------------------------------------------------


def _document(title: str, body: str, plots: bool) -> str:
    script = f"<script>{get_plotlyjs()}</script>" if plots else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_file('report.css')}</style>\n{script}\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n<script>\n{_file('report.js')}</script>\n</body>\n</html>\n"
    )


def _file(name: str) -> str:
    return resources.files("analysis").joinpath(name).read_text(encoding="utf-8")


def _section(title: str, *content: str) -> str:
    return f"\n<section>\n<h2>{escape(title)}</h2>\n{''.join(content)}\n</section>"


def _banner(text: str) -> str:
    return f'<p class="banner" role="note">{escape(text)}</p>' if text else ""


def _figure(figure: go.Figure, name: str, title: str) -> str:
    html = figure.to_html(full_html=False, include_plotlyjs=False, config=CONFIG, div_id=name, default_height="auto")
    return f'<div class="plot" role="group" aria-label="{escape(title)}">{html}</div>'


def _scrolling(table: str, title: str) -> str:
    """A table in a box of its own, that scrolls sideways (by keyboard too) so that the page does not."""
    return f'<div class="wide" role="region" aria-label="{escape(title)}" tabindex="0">{table}</div>'


# What was found ------------------------------------------------------------------------------------------------------


def _findings(known: Sequence[Cell], front: Pareto, task: str) -> str:
    """The answer in a few sentences, of Dice and parameters: the front, the best, the cheapest, the trivial bar.

    `task` names the data set where a study has several.
    """
    trained = [cell for cell in known if not cell.trivial]
    heading = f"<h3>{escape(task)}</h3>" if task else ""
    if not front.points:
        return heading + "<p>No network has been scored: no trial is complete.</p>"
    by_id = {cell.id: cell for cell in trained}
    on_front = [by_id[cell] for cell in front.front]
    scored = [by_id[point.cell] for point in front.points]
    best = max(scored, key=lambda cell: cell.dice.mean)
    cheapest = min(scored, key=lambda cell: (cell.params, -cell.dice.mean))
    sentences = []
    if len(scored) > 1:
        sentences += [
            f"{len(on_front)} of {len(scored)} networks {'is' if len(on_front) == 1 else 'are'} on the front of Dice "
            f"against parameters: {listing([f'{_name(c)} ({si(c.params)}, {score(*c.dice)})' for c in on_front])}.",
            f"Fewest parameters: {_name(cheapest)}, {si(cheapest.params)}, with Dice {score(*cheapest.dice)}.",
        ]
    sentences.append(
        f"{'Best Dice' if len(scored) > 1 else 'The one network scored'}: {_name(best)}, Dice {score(*best.dice)} "
        f"with {si(best.params)} parameters and {si(best.macs)} MACs."
    )
    if front.trivial:
        bar = front.trivial[0]
        below = [cell for cell in scored if cell.dice.mean <= bar.y]
        sentences.append(
            f"{'It' if len(scored) == 1 else 'Every network'} beats the trivial rows "
            f"(the best of them is {escape(bar.label)}, Dice {score(bar.y)})."
            if not below
            else f"No better than the trivial row {escape(bar.label)} (Dice {score(bar.y)}): "
            f"{listing([f'{_name(c)} ({score(*c.dice)})' for c in below])}."
        )
    if all(cell.seeds == 1 for cell in scored):
        sentences.append("Each network was trained with one seed, so no difference here has an interval.")
    return heading + "<ul>" + "".join(f"<li>{sentence}</li>" for sentence in sentences) + "</ul>"


def _name(cell: Cell) -> str:
    return f"<b>{escape(cell.label)}</b>"


# Tables --------------------------------------------------------------------------------------------------------------


def _table(known: Sequence[Cell], records: Sequence[Pareto]) -> str:
    """Every scored cell and the trivial rows, best Dice first; sortable by each column."""
    on_front = {
        cell.id: [COSTS[record.x] for record in records if record.y == "dice" and cell.id in record.front]
        for cell in known
    }
    header = "".join(
        [
            _header("Configuration"),
            *(
                _header(name, "descending", now="descending" if metric == "dice" else None)
                for metric, name in METRICS.items()
            ),
            *(_header(name, "ascending") for name in (*COSTS.values(), "Seeds", "Epochs", "Train s")),
            _header("Dice front"),
            _header("Model"),
        ]
    )

    def measured(value: Score) -> str:
        return _number(value.mean, score(*value))

    def row(cell: Cell) -> str:
        marks = on_front[cell.id]
        trained = not cell.trivial
        kind = "trivial" if cell.trivial else "front" if marks else ""
        label = escape(cell.label)
        columns = [
            f'<th scope="row" data-sort="{label}" title="{escape(cell.configuration)}">{label}</th>',
            *(measured(getattr(cell, metric)) for metric in METRICS),
            *(_number(getattr(cell, cost), si(getattr(cell, cost))) for cost in COSTS),
            _number(cell.seeds if trained else math.nan, str(cell.seeds)),
            _number(cell.epochs if trained else math.nan, f"{cell.epochs:.0f}"),
            _number(cell.train_seconds if trained else math.nan, f"{cell.train_seconds:,.0f}"),
            _text(", ".join(marks), "–"),
            _text(model_name(cell.model) if trained else "trivial"),
        ]
        return f'<tr class="{kind}">{"".join(columns)}</tr>'

    best_first = sorted(known, key=lambda cell: -cell.dice.mean if math.isfinite(cell.dice.mean) else math.inf)
    body = "".join(row(cell) for cell in best_first)
    table = f'<table class="cells" id="cells"><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>'
    return _scrolling(table, "All results") + (
        '<p class="note">Test scores: mean ± standard deviation over seeds. Dice and IoU are of the foreground, '
        "averaged over images; MIoU is averaged over classes. ● is on the front of Dice against parameters or MACs; "
        "trivial rows are predictors that look at no image, and are on none."
        '<span class="screen"> A click on a header sorts.</span></p>'
    )


def _header(name: str, number_from: str = "", now: str | None = None) -> str:
    """A column's header; for numbers, `number_from` is the order that a first click gives."""
    kind = f' class="number" data-first="{number_from}"' if number_from else ""
    sort = f' aria-sort="{now}"' if now else ""
    return f'<th scope="col"{kind}{sort}><button type="button">{escape(name)}</button></th>'


def _text(value: str, missing: str = "") -> str:
    return f'<td data-sort="{escape(value)}">{escape(value or missing)}</td>'


def _number(value: float, shown: str) -> str:
    if not math.isfinite(value):
        return '<td class="number" data-sort="">–</td>'
    return f'<td class="number" data-sort="{value:.10g}">{escape(shown)}</td>'


def _failed(trials: pd.DataFrame) -> str:
    failed = trials[trials["state"] == "failed"]
    if failed.empty:
        return ""
    reasons = failed["error"].fillna("").replace("", "no reason was recorded")
    rows = "".join(
        f'<tr><th scope="row">{escape(str(label))}</th><td>{escape(model_name(str(model)))}</td>'
        f'<td class="number">{escape(str(seed))}</td><td>{escape(str(reason))}</td></tr>'
        for label, model, seed, reason in zip(failed["label"], failed["model"], failed["seed"], reasons, strict=True)
    )
    return f"<h3>{several(len(failed), 'trial')} failed</h3>" + _scrolling(
        '<table class="failed" id="failed"><thead><tr><th scope="col">Configuration</th><th scope="col">Model</th>'
        '<th scope="col" class="number">Seed</th><th scope="col">Reason</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>",
        "Failed trials",
    )


# Images --------------------------------------------------------------------------------------------------------------


def _strip(pictures: Sequence[Picture], known: Sequence[Cell]) -> str:
    """A row an image: the image, its mask, and each cell's prediction with its errors coloured."""
    by_id = {cell.id: cell for cell in known}
    predicted = list(dict.fromkeys(cell for picture in pictures for cell in picture.predictions))
    # Cells in the order of the table; one that has no score (its trials failed since) last, under its id.
    order = sorted(predicted, key=lambda cell: -by_id[cell].dice.mean if cell in by_id else math.inf)

    def name(cell: str) -> str:
        return by_id[cell].label if cell in by_id else cell

    def row(picture: Picture) -> str:
        source, mask = _grey(picture.source), _foreground(picture.mask)
        columns = [
            f"<td>{_image(picture.source, f'Test image {picture.image}')}</td>",
            f"<td>{_image(picture.mask, f'Mask of {picture.image}')}</td>",
        ]
        for cell in order:
            if cell not in picture.predictions:
                columns.append("<td></td>")
                continue
            prediction = _foreground(picture.predictions[cell])
            if prediction.shape != mask.shape:
                raise ValueError(
                    f"picture '{picture.image}': the prediction of cell {cell} is {_size(prediction)}, its mask "
                    f"{_size(mask)}: expected one size"
                )
            dice = _dice(prediction, mask)
            alt = f"Prediction of {name(cell)} for {picture.image}, Dice {dice:.3f}"
            columns.append(
                f"<td><figure>{_image(overlay(source, mask, prediction), alt)}"
                f"<figcaption>Dice {dice:.3f}</figcaption></figure></td>"
            )
        return f'<tr><th scope="row">{escape(picture.image)}</th>{"".join(columns)}</tr>'

    header = "".join(f'<th scope="col">{escape(text)}</th>' for text in ("Image", "Mask", *map(name, order)))
    keys = "".join(
        f'<span class="key" style="background:rgb{colour}"></span>{text}'
        for colour, text in (
            (_TRUE_POSITIVE, "found"),
            (_FALSE_POSITIVE, "false positive"),
            (_FALSE_NEGATIVE, "missed"),
        )
    )
    table = (
        f'<table class="strip"><thead><tr><td></td>{header}</tr></thead>'
        f"<tbody>{''.join(map(row, pictures))}</tbody></table>"
    )
    return f'<p class="note keys">{keys}</p>' + _scrolling(table, "Test images and predictions")


def overlay(source: np.ndarray, mask: np.ndarray, prediction: np.ndarray) -> bytes:
    """A PNG of what a prediction got right and wrong, on the dimmed image.

    `source` is (H, W) grey of 0 to 255, and is brought to the masks' size; `mask` and `prediction` are (h, w) booleans.
    """
    height, width = mask.shape
    grey = np.asarray(Image.fromarray(source.astype(np.uint8)).resize((width, height), Image.Resampling.BILINEAR))
    shown = np.repeat((grey * _DIM).astype(np.uint8)[..., None], 3, axis=2)
    shown[prediction & mask] = _TRUE_POSITIVE
    shown[prediction & ~mask] = _FALSE_POSITIVE
    shown[~prediction & mask] = _FALSE_NEGATIVE
    file = io.BytesIO()
    Image.fromarray(shown).save(file, "PNG", optimize=True)
    return file.getvalue()


def _grey(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("L"))


def _foreground(png: bytes) -> np.ndarray:
    return _grey(png) > 127


def _dice(prediction: np.ndarray, mask: np.ndarray) -> float:
    both = int(prediction.sum()) + int(mask.sum())
    return 2 * int((prediction & mask).sum()) / both if both else 1.0


def _size(image: np.ndarray) -> str:
    return f"{image.shape[0]}x{image.shape[1]}"


def _image(png: bytes, alt: str) -> str:
    with Image.open(io.BytesIO(png)) as image:
        width, height = image.size
    data = base64.b64encode(png).decode("ascii")
    return (
        f'<img src="data:image/png;base64,{data}" alt="{escape(alt)}" width="{width}" height="{height}" loading="lazy" '
        'decoding="async">'
    )


# Method --------------------------------------------------------------------------------------------------------------


def _method(about: About) -> str:
    facts = {"Profile": ", ".join(about.profiles), **about.facts}
    entries = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    return f"<dl>{entries}</dl>" + (f"<h3>Left out</h3>{_items(about.notes)}" if about.notes else "")


def _items(texts: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>"
