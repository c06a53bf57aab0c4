"""The page of several studies side by side: scores and ranks on each data set, and costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

from markupsafe import Markup

from ablate.analysis.compare import Comparison, Network, findings
from ablate.analysis.figures.parallel import Axis, Line, Parallel, parallel_figure
from ablate.analysis.figures.ranks import ranks_figure
from ablate.analysis.format import listing, model_name, score, several
from ablate.analysis.pareto import COSTS, Cost, amount
from ablate.analysis.ranks import PostHoc
from ablate.analysis.report.content import About
from ablate.analysis.report.page import NOTHING, cautions_of, laid_out, plot, report_page, section
from ablate.analysis.report.table import Header, Place, Table, TableRow, headed, number, worded
from ablate.metrics.counts import METRICS

_MOST_LINES = 60


def compare_report(comparison: Comparison, abouts: Mapping[str, About]) -> str:
    """The comparison as a page; `abouts` say of each study, by name, how its numbers were made."""
    sections = [
        section("What was found", lambda: laid_out("items", texts=findings(comparison))),
        section("Scores", lambda: _drawn(comparison), lambda: _scores(comparison)),
        section("Which differ", lambda: _ranked(comparison)),
        section("Costs", lambda: laid_out("table", table=_cost_table(comparison))),
        section(
            "How this was made",
            *(partial(laid_out, "made_of", name=name, named=about.facts) for name, about in abouts.items()),
        ),
    ]
    profiles = dict.fromkeys(profile for about in abouts.values() for profile in about.profiles)
    return report_page(f"{listing(list(comparison.data))} compared", "", cautions_of(profiles), sections)


def _drawn(comparison: Comparison) -> Markup:
    lines = _lines(comparison)
    if len(lines.lines) < 2:
        return NOTHING
    drawn = parallel_figure(lines, {line.cell for line in lines.lines})
    return laid_out("compared_figure", plot=plot(drawn, "scores", "Scores on each data set"))


def _ranked(comparison: Comparison) -> Markup:
    found = comparison.post_hoc
    if found is None:
        return NOTHING
    drawn = plot(ranks_figure(found), "ranks", "Networks by mean rank, and which are not told apart")
    return laid_out(
        "compared_ranks", plot=drawn, pairs=_pair_table(found), fold=f"The {several(len(found.pairs), 'pair')}"
    )


def _pair_table(found: PostHoc) -> Table:
    headers = (
        Header("Pair"),
        *(Header(name, number=True, first="descending") for name in ("Better", "Worse", "Alike")),
        Header("p", number=True),
        Header("p (Holm)", number=True),
        Header("Told apart"),
    )
    rows = tuple(
        TableRow(
            (
                headed(f"{pair.a} – {pair.b}"),
                *(number(count, str(count)) for count in (pair.better, pair.worse, pair.alike)),
                number(pair.p_value, f"{pair.p_value:.3g}"),
                number(pair.p_holm, f"{pair.p_holm:.3g}"),
                worded("yes" if pair.significant else "no"),
            )
        )
        for pair in found.pairs
    )
    return Table("Pairs", "cells", headers, rows, sorts=True)


def _scores(comparison: Comparison) -> Markup:
    return laid_out("compared_scores", scores=_score_table(comparison), metric=METRICS[comparison.metric].heading)


def _lines(comparison: Comparison) -> Parallel:
    """A coordinate for each data set; a line for each trained network with two entries or more."""
    trained = [n for n in comparison.networks if not n.trivial and sum(e is not None for e in n.entries) > 1]
    axes, columns = [], []
    for at, name in enumerate(comparison.data):
        found = [math.nan if (entry := network.entries[at]) is None else entry.score.estimate for network in trained]
        finite = [one for one in found if math.isfinite(one)]
        low, high = min(finite, default=0.0), max(finite, default=1.0)
        span = (high - low) or 1.0
        columns.append([(one - low) / span for one in found])
        axes.append(Axis(name, tuple((k / 4, score(low + (high - low) * k / 4)) for k in range(5))))
    lines = [
        Line(
            cell=network.configuration + network.label,
            label=network.label,
            model=network.model,
            places=tuple(column[row] for column in columns),
            texts=tuple("not trained" if e is None else score(e.score.estimate) for e in network.entries),
        )
        for row, network in enumerate(trained[:_MOST_LINES])
    ]
    return Parallel("", "", tuple(axes), tuple(lines), len(trained) - len(lines))


def _score_table(comparison: Comparison) -> Table:
    headers = (
        Header("Network"),
        *(
            part
            for name in comparison.data
            for part in (Header(name, number=True, first="descending"), Header("rank", number=True))
        ),
        Header("Mean rank", number=True, now="ascending"),
        Header("Model"),
    )
    rows = tuple(_score_row(network) for network in comparison.networks)
    return Table("Scores", "cells", headers, rows, "cells", sorts=True)


def _score_row(network: Network) -> TableRow:
    places = [headed(network.label, network.configuration)]
    for entry in network.entries:
        if entry is None:
            places += [Place("not trained", "", number=True), number(None, "")]
        else:
            estimate, low, high = entry.score[:3]
            below = f"[{low:.3f}, {high:.3f}]" if math.isfinite(low) and not network.trivial else ""
            places += [number(estimate, score(estimate), below), _rank(entry.rank, "g")]
    places += [
        _rank(network.mean_rank, ".2f"),
        worded("trivial" if network.trivial else model_name(network.model)),
    ]
    return TableRow(tuple(places), "trivial" if network.trivial else "")


def _rank(rank: float | None, digits: str) -> Place:
    return number(rank, "" if rank is None else f"{rank:{digits}}")


def _cost_table(comparison: Comparison) -> Table:
    trained = [network for network in comparison.networks if not network.trivial]
    shown = _costs(trained)
    headers = (
        Header("Network"),
        *(Header(f"{COSTS[cost]}, {name}", number=True) for cost in shown for name in comparison.data),
    )

    def row(network: Network) -> TableRow:
        places = [headed(network.label)]
        for cost in shown:
            found = [math.nan if entry is None else entry.costs[cost] for entry in network.entries]
            places += [number(one, amount(cost, one)) for one in found]
        return TableRow(tuple(places))

    return Table("Costs", "cells", headers, tuple(map(row, trained)), sorts=True)


def _costs(networks: Sequence[Network]) -> list[Cost]:
    """The costs that at least one network has somewhere."""
    entries = [entry for network in networks for entry in network.entries if entry is not None]
    return [cost for cost in COSTS if any(math.isfinite(entry.costs[cost]) for entry in entries)]
