"""`ablate compare`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ablate.errors import InputError
from ablate.runners.cli.failures import fail_below_option
from ablate.runners.cli.naming import open_study, studies_argument
from ablate.runners.cli.output import check_target, console, plain_table, print_json, write
from ablate.runners.cli.several import by_name, judged_on
from ablate.runners.cli.shared import (
    class_option,
    empty_option,
    json_option,
    metric_option,
    notes,
    tables_with,
    unit_option,
)

if TYPE_CHECKING:
    from rich.table import Table

    from ablate.analysis.compare import Comparison
    from ablate.analysis.failures import Failures
    from ablate.analysis.frames import Frames
    from ablate.analysis.ranks import PostHoc
    from ablate.analysis.scores import Unit
    from ablate.analysis.scoring import FailBelow
    from ablate.metrics.counts import Empty, MetricName


@click.command()
@studies_argument
@metric_option("--metric")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write a page here that works offline.")
@class_option
@empty_option
@fail_below_option
@unit_option
@json_option
def compare(
    studies: tuple[Path, ...],
    metric: MetricName,
    output: Path | None,
    of_class: str,
    empty: Empty | None,
    fail_below: FailBelow | None,
    unit: Unit | None,
    as_json: bool,
) -> None:
    """The same networks over several data sets, and their ranks.

    Networks are matched by configuration. Scores of different data sets do not
    compare, ranks do: their mean, the Friedman test of three or more, and for
    each pair of networks Wilcoxon's test with Holm's correction, drawn as a
    critical-difference diagram. Few data sets can show little: it says what.

    \b
    Examples:
      ablate compare studies/baselines-mni152 studies/baselines-isbi2012
      ablate compare STUDY STUDY --metric miou -o compared.html
      ablate compare STUDY STUDY --metric hd95 --class liver
    """
    from ablate.analysis.by_seed import remarks
    from ablate.analysis.claims.across import applicable
    from ablate.analysis.compare import compare as compared
    from ablate.analysis.failures import failing, failures
    from ablate.analysis.format import listing
    from ablate.analysis.report.about import about
    from ablate.analysis.report.compare_report import compare_report

    check_target(output, ".html")
    opened = {name: open_study(study) for name, study in by_name(studies).items()}
    scored = {name: tables_with(study, metric, of_class, unit, empty) for name, study in opened.items()}
    frames = {name: failing(found, fail_below) for name, (found, _) in scored.items()}
    called = {name for _, name in scored.values()}
    if len(called) > 1:
        raise InputError(f"{metric} is {listing(sorted(called))} in these studies: compare what is one thing in all")
    comparison = compared(frames, called.pop())
    lost = {name: failures(found, comparison.metric) for name, found in frames.items()}
    comparison = comparison._replace(notes=(*comparison.notes, *_lost(frames, lost, comparison.metric)))
    cautions = [f"{name}: {said}" for name, found in frames.items() for said in remarks(found)]
    cautions += dict.fromkeys(note for study in opened.values() for note in notes(study))
    if output:
        abouts = {name: about(study, frames[name]) for name, study in opened.items()}
        claims = applicable({name: judged_on(study, frames[name]) for name, study in opened.items()})
        write(output, compare_report(comparison, abouts, claims).encode())
    if as_json:
        print_json(_document(comparison) | {"failures": _lost_by_cell(lost), "cautions": cautions})
        return
    _print(comparison, cautions)
    if output:
        console().print(f"Page: {output}", soft_wrap=True)


def _print(comparison: Comparison, cautions: Sequence[str]) -> None:
    from ablate.analysis.compare import findings
    from ablate.analysis.crossed import counted

    out = console()
    out.print(_scores(comparison))
    if over := counted(one.score for network in comparison.networks for one in network.entries if one is not None):
        out.print(f"±: half of 95 % intervals, over {over}", style="dim")
    out.print()
    out.print(_costs(comparison))
    out.print()
    if comparison.post_hoc is not None:
        out.print(_ranks(comparison.post_hoc))
        out.print("Networks beside one bar are not told apart.", style="dim")
        out.print()
    for sentence in findings(comparison):
        out.print(sentence)
    for caution in cautions:
        out.print(caution, style="yellow")


def _scores(comparison: Comparison) -> Table:
    from ablate.analysis.format import model_name
    from ablate.metrics.counts import METRICS

    table = plain_table(
        METRICS[comparison.metric].heading, *comparison.data, "mean rank", right=(*comparison.data, "mean rank")
    )
    for network in comparison.networks:
        texts = []
        for entry in network.entries:
            if entry is None:
                texts.append("not trained")
                continue
            shown = "" if network.trivial else entry.score.plus_minus.replace("± ", "±")
            texts.append(f"{entry.score.estimate:.3f} {shown}".rstrip())
        name = model_name(network.model) if network.trivial else network.label
        rank = "" if network.mean_rank is None else f"{network.mean_rank:.2f}"
        table.add_row(name, *texts, rank, style="dim" if network.trivial else "")
    return table


def _ranks(found: PostHoc) -> Table:
    """The critical-difference diagram: a row a network, a bar beside those that are not told apart."""
    table = plain_table("by mean rank", "mean rank", "", right=("mean rank",))
    for at, (name, rank) in enumerate(zip(found.networks, found.mean_ranks, strict=True)):
        bars = "".join("| " if first <= at <= last else "  " for first, last in found.groups)
        table.add_row(name, f"{rank:.2f}", bars)
    return table


def _lost(frames: Mapping[str, Frames], lost: Mapping[str, Mapping[str, Failures]], metric: MetricName) -> list[str]:
    """What each study's networks lost, which of their trainings failed, and what that means."""
    from ablate.analysis.failure_words import failed_trainings, legend, lost_cases

    return [
        f"{name}: {said}"
        for name, found in lost.items()
        for said in (*failed_trainings(frames[name].trials), *lost_cases(found), legend(found, frames[name], metric))
    ]


def _lost_by_cell(lost: Mapping[str, Mapping[str, Failures]]) -> dict[str, dict[str, Any]]:
    return {name: {cell: one.counted.document() for cell, one in found.items()} for name, found in lost.items()}


def _costs(comparison: Comparison) -> Table:
    """Parameters, and MACs on each data set."""
    from ablate.analysis.pareto import amount

    macs = [f"MACs, {name}" for name in comparison.data]
    table = plain_table("cost", "Parameters", *macs, right=("Parameters", *macs))
    for network in comparison.networks:
        if network.trivial:
            continue
        params = dict.fromkeys(amount("params", e.costs["params"]) for e in network.entries if e is not None)
        cells = ["–" if entry is None else amount("macs", entry.costs["macs"]) for entry in network.entries]
        table.add_row(network.label, ", ".join(params), *cells)
    return table


def _document(comparison: Comparison) -> dict[str, Any]:
    def number(value: float) -> float | None:
        return value if math.isfinite(value) else None

    def entry(found: Any) -> dict[str, Any] | None:
        if found is None:
            return None
        score = {
            name: number(value) if isinstance(value, float) else value for name, value in found.score._asdict().items()
        }
        costs = {cost: number(value) for cost, value in found.costs.items()}
        return {"cell": found.cell, "score": score, "seeds": found.seeds, "costs": costs, "rank": found.rank}

    return {
        "metric": comparison.metric,
        "data": list(comparison.data),
        "networks": [
            network._asdict() | {"entries": dict(zip(comparison.data, map(entry, network.entries), strict=True))}
            for network in comparison.networks
        ],
        "friedman": None if comparison.friedman is None else comparison.friedman._asdict(),
        "post_hoc": None if comparison.post_hoc is None else _post_hoc(comparison.post_hoc),
        "ranked": list(comparison.ranked),
        "notes": list(comparison.notes),
    }


def _post_hoc(found: PostHoc) -> dict[str, Any]:
    return {
        "test": "wilcoxon signed-rank, holm",
        "data_sets": found.data_sets,
        "mean_ranks": dict(zip(found.networks, found.mean_ranks, strict=True)),
        "pairs": [pair._asdict() | {"significant": pair.significant} for pair in found.pairs],
        "not_told_apart": [list(found.networks[first : last + 1]) for first, last in found.groups],
        "least_p_value": found.least,
        "data_sets_needed": found.data_sets_needed,
    }
