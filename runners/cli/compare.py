"""`ablate compare`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ablate.errors import InputError
from ablate.runners.cli.output import check_target, console, plain_table, print_json, write
from ablate.runners.cli.shared import (
    class_option,
    empty_option,
    json_option,
    metric_option,
    notes,
    open_study,
    tables_with,
    unit_option,
)

if TYPE_CHECKING:
    from rich.table import Table

    from ablate.analysis.compare import Comparison
    from ablate.analysis.scores import Unit
    from ablate.metrics.counts import Empty, MetricName


@click.command()
@click.argument("studies", nargs=-1, required=True, metavar="STUDY...", type=click.Path(path_type=Path))
@metric_option("--metric")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write a page here that works offline.")
@class_option
@empty_option
@unit_option
@json_option
def compare(
    studies: tuple[Path, ...],
    metric: MetricName,
    output: Path | None,
    of_class: str,
    empty: Empty | None,
    unit: Unit | None,
    as_json: bool,
) -> None:
    """The same networks over several data sets, and their ranks.

    Networks are matched by configuration. Scores of different data sets do not
    compare, ranks do: their mean, and the Friedman test of three or more.

    \b
    Examples:
      ablate compare studies/baselines-mni152 studies/baselines-isbi2012
      ablate compare STUDY STUDY --metric miou -o compared.html
      ablate compare STUDY STUDY --metric hd95 --class liver
    """
    from ablate.analysis.by_seed import remarks
    from ablate.analysis.compare import compare as compared
    from ablate.analysis.compare import findings
    from ablate.analysis.crossed import counted
    from ablate.analysis.format import listing
    from ablate.analysis.report.about import about
    from ablate.analysis.report.compare_report import compare_report

    check_target(output, ".html")
    if len({study.resolve() for study in studies}) < len(studies):
        raise InputError("a study is named twice: name each once")
    opened = {name: open_study(study) for name, study in zip(_names(studies), studies, strict=True)}
    scored = {name: tables_with(study, metric, of_class, unit, empty) for name, study in opened.items()}
    frames = {name: found for name, (found, _) in scored.items()}
    called = {name for _, name in scored.values()}
    if len(called) > 1:
        raise InputError(f"{metric} is {listing(sorted(called))} in these studies: compare what is one thing in all")
    comparison = compared(frames, called.pop())
    cautions = [f"{name}: {said}" for name, found in frames.items() for said in remarks(found)]
    cautions += dict.fromkeys(note for study in opened.values() for note in notes(study))
    if output:
        abouts = {name: about(study, frames[name]) for name, study in opened.items()}
        write(output, compare_report(comparison, abouts).encode())
    if as_json:
        print_json(_document(comparison) | {"cautions": cautions})
        return
    out = console()
    out.print(_scores(comparison))
    if over := counted(one.score for network in comparison.networks for one in network.entries if one is not None):
        out.print(f"±: half of 95 % intervals, over {over}", style="dim")
    out.print()
    out.print(_costs(comparison))
    out.print()
    for sentence in findings(comparison):
        out.print(sentence)
    for caution in cautions:
        out.print(caution, style="yellow")
    if output:
        out.print(f"Page: {output}", soft_wrap=True)


def _names(studies: tuple[Path, ...]) -> list[str]:
    """The directories' names; with as much of their paths as tells them apart."""
    names = [study.resolve().name for study in studies]
    return [name if names.count(name) == 1 else str(study) for name, study in zip(names, studies, strict=True)]


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
        "notes": list(comparison.notes),
    }
