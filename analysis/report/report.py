"""The report: one HTML page that says what a study found, how surely, and how it was made.

`render` puts it together from records that others computed: a section that has no record is not there. Each of its
parts is made by itself, and what a part needs is computed when it asks: what fails is a note in its place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, NamedTuple

from ablate.analysis.figures.curves import curves, curves_figure
from ablate.analysis.figures.heatmap import LevelMeans
from ablate.analysis.figures.hypervolume import Spent, spent_figure
from ablate.analysis.figures.parallel import Parallel
from ablate.analysis.figures.pareto import pareto_figure
from ablate.analysis.format import NO_BREAK, between, listing, model_name, score, several, shortened
from ablate.analysis.pareto import COST_WORDS, METRICS, Cell, Cost, Metric, Pareto, amount, cells, fronts, tasks
from ablate.analysis.report.confirmation import confirmation_section
from ablate.analysis.report.effects import effects_section
from ablate.analysis.report.page import (
    caution,
    document,
    escape,
    facts,
    figure,
    figure_page,
    folded,
    items,
    made,
    note,
    plain_header,
    section,
    table,
)
from ablate.analysis.report.results import Results, best_first, interval_of, results_table
from ablate.analysis.report.segmentations import Picture, Prediction, comparison, overlay
from ablate.analysis.report.verdict import claim_section
from ablate.search_spaces.profiles import PROFILES

if TYPE_CHECKING:
    import pandas as pd

    from ablate.analysis.claims.verdict import ClaimResult
    from ablate.analysis.confirmation import Confirmation
    from ablate.analysis.effects import Effects
    from ablate.analysis.frames import Frames
    from ablate.analysis.measured import Disagreement
    from ablate.analysis.significance import Interval
    from ablate.analysis.uncertainty import UncertainFront

__all__ = ["About", "Evidence", "Picture", "Prediction", "figure_page", "overlay", "render"]

_MOST_FAILED, _MOST_DISAGREEMENTS, _MOST_NOTES = 200, 10, 50
_MOST_CURVES, _CURVES_OF_MANY = 50, 12


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
    definitions: Mapping[str, str] = {}
    """By name of the space, its definition as YAML."""
    cautions: Sequence[str] = ()
    """What must be known before anything is believed, at the head of the report: trials that are damaged, say."""


class Evidence(NamedTuple):
    """What the statistics say of a study. Whatever could not be computed is empty, and `notes` say why."""

    claims: Sequence[ClaimResult] = ()
    intervals: Mapping[Metric, Mapping[str, Interval]] = {}
    """Of the mean scores, by metric and cell."""
    uncertain: Mapping[str, Sequence[UncertainFront]] = {}
    """By data set."""
    disagreements: Sequence[Disagreement] = ()
    effects: Effects | None = None
    maps: Sequence[LevelMeans] = ()
    parallels: Sequence[Parallel] = ()
    spent: tuple[Spent, ...] = ()
    confirmation: Confirmation | None = None
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class _Content:
    """What every section is made from. What is computed of it is computed once, when a section first asks."""

    frames: Frames
    about: About
    evidence: Evidence
    pictured: Collection[str]
    """The cells whose predictions are shown."""

    @cached_property
    def known(self) -> tuple[Cell, ...]:
        return cells(self.frames.trials)

    @cached_property
    def by_task(self) -> Mapping[str, pd.DataFrame]:
        return tasks(self.frames.trials)

    @cached_property
    def fronts(self) -> Mapping[str, tuple[Pareto, ...]]:
        return {task: fronts(trials) for task, trials in self.by_task.items()}

    @cached_property
    def on_a_front(self) -> set[str]:
        return {cell for records in self.fronts.values() for record in records for cell in record.front}

    def of_task(self, task: str) -> str:
        """The data set's name as a heading, where there are several."""
        return f"<h3>{escape(task)}</h3>" if len(self.by_task) > 1 else ""

    def scored(self, found: Cell) -> str:
        """A cell's Dice with its interval; without one, with its standard deviation."""
        interval = interval_of(self.evidence.intervals, found, "dice")
        return score(*found.dice) if interval is None else between(found.dice.mean, interval.low, interval.high)

    def chances(self, task: str, x: Cost = "params", y: Metric = "dice") -> Mapping[str, float]:
        """Each cell's probability of being on a front; none where it is not known, or of images alone (one seed)."""
        for record in self.evidence.uncertain.get(task, ()):
            if (record.x, record.y) == (x, y) and record.seeds > 1:
                return record.probability
        return {}


def render(frames: Frames, about: About, pictures: Sequence[Picture] = (), evidence: Evidence | None = None) -> str:
    """The whole document."""
    evidence = evidence or Evidence()
    pictured = {cell for picture in pictures for cell in picture.predictions}
    content = _Content(frames, about, evidence, pictured)
    body = [
        f"<h1>{escape(about.title)}</h1>",
        f'<p class="question">{escape(about.question)}</p>' if about.question else "",
        *map(caution, about.cautions),
        *(caution(PROFILES[profile].note or "") for profile in about.profiles if profile in PROFILES),
        section(
            "Verdict",
            *(partial(claim_section, claim, first=claim is evidence.claims[0]) for claim in evidence.claims),
        ),
        section("What the front is worth", lambda: confirmation_section(evidence.confirmation)),
        section("What was found", lambda: _of_tasks(content, _findings)),
        section(
            "Score against cost",
            lambda: _of_tasks(content, _front),
            lambda: _front_marks(content),
            lambda: _spent(evidence.spent),
        ),
        section("Fewer MACs, more time", lambda: _disagreements(evidence.disagreements)),
        section(
            "What each part is worth",
            lambda: effects_section(evidence.effects, evidence.maps, evidence.parallels, lambda: content.on_a_front),
        ),
        section("Training", lambda: _curves(content)),
        section("Test images", lambda: _images(content, pictures)),
        section("All results", lambda: _results(content)),
        section(
            "How this was made", lambda: _method(about), lambda: _left_out(content), lambda: _failed(frames.trials)
        ),
    ]
    return document(about.title, "".join(body))


def _of_tasks(content: _Content, make: Callable[[_Content, str], str]) -> str:
    """A part for each data set, under its name."""
    return "".join(made(partial(make, content, task), content.of_task(task)) for task in content.by_task)


# What was found ------------------------------------------------------------------------------------------------------


def _findings(content: _Content, task: str) -> str:
    """The answer in a few sentences, of Dice and parameters: the front, the best, the cheapest, the trivial bar."""
    front, heading = content.fronts[task][0], content.of_task(task)
    if not front.points:
        return heading + "<p>No network has been scored: no trial is complete.</p>"
    by_id = {cell.id: cell for cell in content.known}
    chances = content.chances(task)

    def named(found: Cell) -> str:
        return f"<b>{escape(shortened(found.label, 60))}</b>"

    def on_front(found: Cell) -> str:
        chance = f", P{NO_BREAK}{chances[found.id]:.2f}" if found.id in chances else ""
        return f"{named(found)} ({amount('params', found.params)}, {content.scored(found)}{chance})"

    scored = [by_id[point.cell] for point in front.points]
    best = max(scored, key=lambda cell: cell.dice.mean)
    cheapest = min(scored, key=lambda cell: (cell.params, -cell.dice.mean))
    sentences = []
    if len(scored) > 1:
        sentences += [
            f"{len(front.front)} of {len(scored)} networks {'is' if len(front.front) == 1 else 'are'} on the front of "
            f"Dice against parameters{' (P: the probability of being on it)' if chances else ''}: "
            f"{listing([on_front(by_id[cell]) for cell in front.front])}.",
            f"Fewest parameters: {named(cheapest)}, {amount('params', cheapest.params)}, "
            f"with Dice {content.scored(cheapest)}.",
        ]
    sentences.append(
        f"{'Best Dice' if len(scored) > 1 else 'The one network scored'}: {named(best)}, "
        f"Dice {content.scored(best)} with {amount('params', best.params)} parameters and "
        f"{amount('macs', best.macs)} MACs."
    )
    if front.trivial:
        bar = front.trivial[0]
        below = [cell for cell in scored if cell.dice.mean <= bar.y]
        sentences.append(
            f"{'It' if len(scored) == 1 else 'Every network'} beats the trivial rows "
            f"(the best of them is {escape(bar.label)}, Dice {score(bar.y)})."
            if not below
            else f"No better than the trivial row {escape(bar.label)} (Dice {score(bar.y)}): "
            f"{listing([f'{named(c)} ({content.scored(c)})' for c in below])}."
        )
    if all(cell.seeds == 1 for cell in scored):
        sentences.append("Each network was trained with one seed, so no difference here has an interval.")
    return heading + "<ul>" + "".join(f"<li>{sentence}</li>" for sentence in sentences) + "</ul>"


# Score against cost --------------------------------------------------------------------------------------------------


def _front(content: _Content, task: str) -> str:
    records, uncertain = content.fronts[task], content.evidence.uncertain.get(task, ())
    if not records[0].points:
        return ""
    drawn = pareto_figure([_legible(record) for record in records], uncertain, content.evidence.intervals)
    at = list(content.by_task).index(task)
    return (
        content.of_task(task)
        + figure(drawn, f"pareto{at or ''}", "Pareto plot of score against cost")
        + made(lambda: _sureness(uncertain))
    )


def _front_marks(content: _Content) -> str:
    if not any(records[0].points for records in content.fronts.values()):
        return ""
    bars = "95 % intervals of the mean" if any(content.evidence.intervals.values()) else "standard deviation over seeds"
    asking = " A click on a point (of a touch screen, a second tap) shows that network’s test images."
    return '<p class="note notice" role="status"></p>' + note(
        "The line is the Pareto front: the score attained at each cost; rings mark the networks on it. "
        f"Error bars: {bars}. Dashed: predictors that look at no image; one marked “below” lies under the plot."
        '<span class="screen"> The menus change the axes; hover or tap for a network’s configuration.'
        f"{asking if content.pictured else ''} A click on a name in the legend takes it out or brings it in; "
        "drag to zoom, double-click to go back.</span>"
    )


def _spent(records: tuple[Spent, ...]) -> str:
    if not any(len(record.epochs) > 1 for record in records):
        return ""
    return folded("What the training bought", figure(spent_figure(records), "spent", "Hypervolume against epochs"))


def _legible(record: Pareto) -> Pareto:
    """With names that fit a figure."""
    return record._replace(
        points=tuple(point._replace(label=shortened(point.label)) for point in record.points),
        trivial=tuple(point._replace(label=shortened(point.label)) for point in record.trivial),
    )


def _sureness(records: Sequence[UncertainFront]) -> str:
    """How sure the first of the fronts is: its hypervolume, and what its probabilities are made of."""
    if not records:
        return ""
    first = records[0]
    if not first.probability:
        return note(escape(f"{first.note[:1].upper()}{first.note[1:]}.")) if first.note else ""
    area, (cost, bar) = first.hypervolume, first.hypervolume.reference
    scale = cost * (1 - bar)
    text = (
        f"Of {METRICS[first.y]} against {COST_WORDS[first.x]}: hypervolume {area.estimate / scale:.3f} "
        f"[{area.low / scale:.3f}, {area.high / scale:.3f}] of what a free and perfect network would have, up to the "
        f"reference point ({amount(first.x, cost)}, {bar:.3f})."
        if scale > 0 and math.isfinite(area.low)
        else ""
    )
    made = f"{several(first.resamples, 'bootstrap resample')} of {several(first.images, 'test image')} and the seeds"
    return note(escape(f"{text} Probabilities and band: {made}{f' ({first.note})' if first.note else ''}.".strip()))


def _disagreements(found: Sequence[Disagreement]) -> str:
    if not found:
        return ""
    by_setting: dict[tuple[str, str], list[str]] = {}
    for pair in found[:_MOST_DISAGREEMENTS]:
        by_setting.setdefault((pair.device, pair.input), []).append(pair.text)
    shown = "".join(
        f"<p>Latency of inference on {escape(device)}, one image of {escape(size)}:</p>{items(texts)}"
        for (device, size), texts in by_setting.items()
    )
    more = len(found) - _MOST_DISAGREEMENTS
    return shown + (
        note(f"And {several(more, 'more pair')} that MACs and latency order differently.") if more > 0 else ""
    )


# Training ------------------------------------------------------------------------------------------------------------


def _curves(content: _Content) -> str:
    """The curves of every cell; of many, of the best on a front."""
    frames, first = content.frames, content.on_a_front
    trained = [cell for cell in content.known if not cell.trivial]
    thinned = len(trained) > _MOST_CURVES
    if thinned:
        kept = [cell.id for cell in best_first(trained) if cell.id in first][:_CURVES_OF_MANY]
        frames = frames._replace(trials=frames.trials[frames.trials["cell"].isin(kept)])
    drawn = [curve._replace(label=shortened(curve.label)) for curve in curves(frames)]
    if not drawn:
        return ""
    return figure(curves_figure(drawn, first), "curves", "Training curves") + note(
        "Mean over seeds; bands span their least and greatest."
        + (f" Of {len(trained):,} networks, the best of those on a front." if thinned else "")
        + '<span class="screen"> A click on a name switches it.</span>'
    )


def _images(content: _Content, pictures: Sequence[Picture]) -> str:
    names = {cell.id: shortened(cell.label, 60) for cell in best_first(content.known)}
    return comparison(pictures, names) if pictures else ""


def _results(content: _Content) -> str:
    if not content.known:
        return ""
    chances = {name: chance for task in content.fronts for name, chance in content.chances(task).items()}
    records = [record for found in content.fronts.values() for record in found]
    return results_table(content.known, Results(records, content.evidence.intervals, chances, content.pictured))


# Method --------------------------------------------------------------------------------------------------------------


def _method(about: About) -> str:
    return facts({"Profile": ", ".join(about.profiles), **about.facts}) + "".join(
        folded(f"Definition of {name}", f'<pre tabindex="0">{escape(text, whole=True)}</pre>')
        for name, text in about.definitions.items()
    )


def _left_out(content: _Content) -> str:
    texts = list(dict.fromkeys([*content.about.notes, *content.evidence.notes]))
    more = [f"And {several(len(texts) - _MOST_NOTES, 'more note')}."] if len(texts) > _MOST_NOTES else []
    return f"<h3>Left out</h3>{items([*texts[:_MOST_NOTES], *more])}" if texts else ""


def _failed(trials: pd.DataFrame) -> str:
    failed = trials[trials["state"] == "failed"]
    if failed.empty:
        return ""
    reasons = failed["error"].fillna("").replace("", "no reason was recorded")
    rows = [
        f'<tr><th scope="row">{escape(str(label))}</th><td>{escape(model_name(str(model)))}</td>'
        f'<td class="number">{escape(str(seed))}</td><td>{escape(str(reason))}</td></tr>'
        for label, model, seed, reason in zip(failed["label"], failed["model"], failed["seed"], reasons, strict=True)
    ]
    headers = [
        plain_header("Configuration"),
        plain_header("Model"),
        plain_header("Seed", number=True),
        plain_header("Reason"),
    ]
    more = f" The first {_MOST_FAILED} are listed." if len(rows) > _MOST_FAILED else ""
    return (
        f"<h3>{several(len(failed), 'trial')} failed</h3>"
        + table("failed", headers, rows[:_MOST_FAILED], "Failed trials", "failed")
        + note(f"A failed trial counts nowhere; the other seeds of its network do.{more}")
    )
