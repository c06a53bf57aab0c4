"""The report's part on searches: what each spent on what, why it ended, and what the short names stand for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

from markupsafe import Markup

from ablate.analysis.figures.search import path_figure, spending_figure
from ablate.analysis.format import NO_BREAK, listing, score, several, si
from ablate.analysis.levels import is_number
from ablate.analysis.report.content import Content
from ablate.analysis.report.page import NOTHING, Part, laid_out, plot, together
from ablate.analysis.report.sections.base import Section
from ablate.analysis.report.table import Header, Table, TableRow, headed, number, worded
from ablate.analysis.search_words import called, ending
from ablate.analysis.searches import Network, Spending, searched_networks, seconds_of, spendings
from ablate.settings import Number

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames
    from ablate.study.study import Study

_MOST_ROWS = 500


class Searches(Section):
    """What each search spent on what, and why it ended; the networks that searches proposed."""

    name: Literal["search"] = "search"
    title: str = "What the search did"
    place: Number = 45

    def parts(self, content: Content) -> Iterable[Part]:
        study = content.study
        if study is None:
            return []
        return [partial(_searches, study, content.frames), partial(_networks, study, content.frames)]


def _searches(study: Study, frames: Frames) -> Markup:
    found = spendings(study, frames)
    return together(partial(search_section, one, at) for at, one in enumerate(found))


def search_section(found: Spending, at: int = 0) -> Markup:
    """One search; of one whose memory is damaged that alone is said."""
    search = found.search
    if search.fault:
        return laid_out("note", text=f"Search of {called(search)}: {search.fault}.")
    said = [f"{several(len(search.cells), 'configuration')} begun"]
    said += [f"{found.kept} of them the study had already, at no cost"] if found.kept else []
    said += [f"{found.under_way} of them under way, or interrupted"] if found.under_way else []
    said += [f"{seconds_of(found.seconds)} s of training in {several(found.epochs, 'epoch')}"]
    why = ending(search)
    return laid_out(
        "search",
        called=called(search),
        said=f"{', '.join(said)}. {why[:1].upper()}{why[1:]}.",
        fates=_fates(found) if found.networks else None,
        path=plot(path_figure(found.path), f"path{at or ''}", "Hypervolume against seconds") if found.path else None,
        spending=plot(spending_figure(found), f"spending{at or ''}", "Seconds by network") if found.networks else None,
    )


def _fates(found: Spending) -> Table:
    names = ("What became of them", "Networks", "Epochs", "Seconds", "Share", "Which")

    def row(fate: str, networks: Sequence[Network]) -> TableRow:
        seconds, epochs = sum(one.seconds for one in networks), sum(one.epochs for one in networks)
        share = seconds / found.seconds if found.seconds > 0 else None
        return TableRow(
            (
                headed(fate),
                number(len(networks), str(len(networks))),
                number(epochs, f"{epochs:,}"),
                number(seconds, seconds_of(seconds)),
                number(share, f"{100 * (share or 0.0):.0f}{NO_BREAK}%"),
                worded(listing([one.named.name for one in sorted(networks, key=found.networks.index)])),
            )
        )

    headers = tuple(Header(name, number=0 < at < len(names) - 1) for at, name in enumerate(names))
    rows = tuple(row(fate, networks) for fate, networks in found.by_fate.items())
    return Table("What the seconds were spent on", "effects", headers, rows)


# What short names stand for ------------------------------------------------------------------------------------------


def _networks(study: Study, frames: Frames) -> Markup:
    found = searched_networks(study, frames)
    if not found:
        return NOTHING
    shown = found
    if len(found) > _MOST_ROWS:  # those that came furthest
        furthest = set(sorted(found, key=lambda one: (one.stopped_at > 0, -one.epochs))[:_MOST_ROWS])
        shown = tuple(one for one in found if one in furthest)
    return laid_out(
        "searched",
        networks=networks_table(shown),
        left_out=f"{len(found) - len(shown):,}" if len(shown) < len(found) else "",
    )


def networks_table(found: Sequence[Network]) -> Table:
    """A row a network, with a column a factor; sortable by each."""
    factors = list(dict.fromkeys(factor for one in found for factor in one.named.levels))
    numeric = {
        factor: all(is_number(level) for one in found if (level := one.named.levels.get(factor, "0")))
        for factor in factors
    }
    headers = (
        Header("Network", now="ascending"),
        Header("What became of it"),
        *(Header(name, number=True) for name in ("Parameters", "MACs")),
        *(Header(name, number=True, first="descending") for name in ("Validation Dice", "Test Dice")),
        *(Header(name, number=True) for name in ("Epochs", "Seconds")),
        *(Header(factor.split(".")[-1], number=numeric[factor]) for factor in factors),
    )

    def row(one: Network) -> TableRow:
        levels = [(factor, one.named.levels.get(factor, "")) for factor in factors]
        return TableRow(
            (
                headed(one.named.name, one.named.configuration),
                worded(one.fate),
                number(one.params, si(one.params)),
                number(one.macs, si(one.macs)),
                number(one.val_dice, score(one.val_dice)),
                number(one.dice, score(one.dice)),
                number(one.epochs, str(one.epochs)),
                number(one.seconds, seconds_of(one.seconds)),
                *(
                    number(float(level) if level else None, level) if numeric[factor] else worded(level, "–")
                    for factor, level in levels
                ),
            )
        )

    return Table("Searched networks", "cells searched", headers, tuple(map(row, found)), "searched", sorts=True)
