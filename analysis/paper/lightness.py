"""What can be checked of Table 3, the cost of six networks, and of what a pyramidal convolution costs."""

from __future__ import annotations

from fractions import Fraction

from ablate.analysis.paper.check import Check
from ablate.analysis.paper.costs import CostRow, cost_ratio, needed_groups
from ablate.analysis.paper.published import NAMES, PYRAMIDS, SHARES


def cost_columns(rows: tuple[CostRow, ...]) -> tuple[Check, ...]:
    """Whether each column of Table 3 comes out of the network that the paper describes."""
    by_model: dict[str, list[CostRow]] = {}
    for row in rows:
        by_model.setdefault(row.model, []).append(row)
    return tuple(_column(model, found) for model, found in by_model.items())


def _column(model: str, rows: list[CostRow]) -> Check:
    holds = any(row.reproduced for row in rows)
    reason = "both figures agree to the printed decimals"
    if not holds:
        reason = (
            "the published code cannot run: its block widens to four times what its next batch norm expects. No "
            "reading has both figures, and no width was tuned to meet them"
        )
    return Check(
        name="the Table 3 column can be recomputed",
        subject=NAMES[model],
        outcome="holds" if holds else "fails",
        found=f"published {_figures(*rows[0].published[:2])}; counted {_counted(rows)}",
        reason=reason,
        source="Table 3; PyconvUnet.py of the published code; ptflops at module level",
    )


def _counted(rows: list[CostRow]) -> str:
    if len(rows) == 1:
        return _figures(rows[0].params_m, rows[0].gmacs)
    params, gmacs = [row.params_m for row in rows], [row.gmacs for row in rows]
    spans = f"{min(params):.2f} to {max(params):.2f} M, {min(gmacs):.2f} to {max(gmacs):.2f} GMac"
    return f"{spans} in {len(rows)} readings"


def _figures(params_m: float, gmacs: float) -> str:
    return f"{params_m:.2f} M, {gmacs:.2f} GMac"


def lightest(rows: tuple[CostRow, ...]) -> tuple[Check, ...]:
    """Whether PyConvU-Net has the fewest parameters and MACs of the six, as published and in each reading."""
    others = [row for row in rows if row.model != "pyconvunet"]
    own = [row for row in rows if row.model == "pyconvunet"]
    published = own[0].published
    figures = {"as published": published[:2]} | {row.reading: (row.params_m, row.gmacs) for row in own}
    return tuple(_lightest(subject, params, gmacs, others) for subject, (params, gmacs) in figures.items())


def _lightest(subject: str, params: float, gmacs: float, others: list[CostRow]) -> Check:
    no_fewer = {
        "parameters": [NAMES[other.model] for other in others if other.params_m <= params],
        "MACs": [NAMES[other.model] for other in others if other.gmacs <= gmacs],
    }
    lighter = [f"no fewer {what} than {', '.join(names)}" for what, names in no_fewer.items() if names]
    return Check(
        name="PyConvU-Net has the fewest parameters and MACs",
        subject=subject,
        outcome="fails" if lighter else "holds",
        found=_figures(params, gmacs),
        reason="; ".join(lighter) or "fewer than all five baselines in both",
        source="Results; Table 3, and counted by ptflops",
    )


def shares() -> tuple[Check, ...]:
    """Whether the published code shares a PyConv's output among its levels as PyConv's own code does."""
    return tuple(_share(levels, *both) for levels, both in SHARES.items())


def _share(levels: int, published: tuple[float, ...], own: tuple[float, ...]) -> Check:
    total = sum(map(Fraction, published))
    if total != 1:
        reason = f"its shares add up to {total} of the channels asked for, so such a layer cannot work as published"
    elif published != own:
        reason = "both can be run: share pyramid is the published code's, share quarters is PyConv's"
    else:
        reason = "the same"
    return Check(
        name="the published code shares channels as PyConv's does",
        subject=f"{levels} levels",
        outcome="holds" if published == own else "fails",
        found=f"published {_listed(published)}; PyConv's {_listed(own)}",
        reason=reason,
        source="PyconvUnet.py of the published code; models/pyconvresnet.py of PyConv",
    )


def _listed(fractions: tuple[float, ...]) -> str:
    return ", ".join(str(Fraction(value)) for value in fractions)


def pyramid_costs() -> tuple[Check, ...]:
    """Eqs. (7)–(8), by which a PyConv costs what the convolution it replaces does, against the groups used."""
    return tuple(_pyramid_cost(levels) for levels in PYRAMIDS)


def _pyramid_cost(levels: int) -> Check:
    kernels, groups = PYRAMIDS[levels]
    needed = needed_groups(kernels)
    holds = needed == groups
    published, own = cost_ratio(levels, "pyramid"), cost_ratio(levels, "quarters")
    found = f"{own:.3f} of its parameters and MACs"
    if published != own:
        found = f"{published:.3f} of its parameters and MACs with the published code's shares, {own:.3f} with PyConv's"
    return Check(
        name="a PyConv costs what the 3x3 it replaces does (Eqs. 7, 8)",
        subject=f"{levels} levels",
        outcome="holds" if holds else "fails",
        found=found,
        reason="the groups are those of the equations"
        if holds
        else f"the equations need groups {', '.join(f'{value:.3g}' for value in needed)}; used are "
        f"{', '.join(map(str, groups))}",
        source="Eqs. (5)-(8); PyconvUnet.py of the published code",
    )
