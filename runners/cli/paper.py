"""`ablate paper`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ablate.runners.cli.output import console, plain_table, print_json
from ablate.runners.cli.shared import json_option

if TYPE_CHECKING:
    from rich.console import Console

    from ablate.analysis.paper.checks import Check, Paper

_MOST_LISTED = 8
"""Of a statement about more subjects, only those are listed for which it does not hold."""


@click.command()
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="ISBI 2012's folder: score all-foreground on its masks."
)
@json_option
def paper(data_dir: Path | None, as_json: bool) -> None:
    """The paper's Tables 1 to 3, recomputed where they can be, and checked.

    Li, Fan, Cai: PyConvU-Net, BMC Bioinformatics 22:14 (2021). Nothing is
    trained. docs/paper.md has the findings in prose.

    \b
    Examples:
      ablate paper
      ablate paper --data-dir isbi2012/ --json
    """
    from ablate.analysis.paper.checks import examine

    found = examine(data_dir)
    if as_json:
        print_json(_document(found))
        return
    out = console()
    _print_data(out)
    _print_scores(out, found)
    _print_costs(out, found)
    _print_checks(out, found.checks)


def _document(found: Paper) -> dict[str, Any]:
    from ablate.analysis.paper.published import CODE, TABLE_1, TABLE_2, TABLE_3, TABLE_3_INPUT

    trivial = found.all_foreground
    return {
        "table_1": {data: row._asdict() for data, row in TABLE_1.items()},
        "table_2": {data: {model: row._asdict() for model, row in rows.items()} for data, rows in TABLE_2.items()},
        "all_foreground": {
            "data": "ISBICell",
            "published_split": trivial.split._asdict(),
            "all_masks": trivial.all_masks._asdict(),
            "splits": trivial.splits,
            "share_of_splits_above": {model: share._asdict() for model, share in trivial.above.items()},
            "measured_here": trivial.measured_here,
            "source": trivial.source,
        },
        "table_3": {
            "input": "x".join(map(str, TABLE_3_INPUT)),
            "published": {model: row._asdict() for model, row in TABLE_3.items()},
            "computed": [
                {
                    "model": row.model,
                    "reading": row.reading,
                    "params_m": row.params_m,
                    "gmacs": row.gmacs,
                    "convolution_gmacs": row.convolution_gmacs,
                    "params_m_difference": row.params_difference,
                    "gmacs_difference": row.gmacs_difference,
                    "reproduced": row.reproduced,
                }
                for row in found.costs
            ],
        },
        "checks": [check._asdict() for check in found.checks],
        "code": CODE,
    }


def _print_data(out: Console) -> None:
    from ablate.analysis.paper.published import TABLE_1

    out.print("Table 1: data", style="bold")
    table = plain_table("data set", "images", "size", "modality", "foreground", "here", right=("images",))
    for data, row in TABLE_1.items():
        table.add_row(data, str(row.images), "x".join(map(str, row.size)), row.modality, row.foreground, row.source)
    out.print(table)


def _print_scores(out: Console, found: Paper) -> None:
    from ablate.analysis.paper.accuracy import possible
    from ablate.analysis.paper.published import NAMES, TABLE_2

    out.print("\nTable 2: accuracy as published", style="bold")
    table = plain_table("", *(f"{data} MIoU,Dice" for data in TABLE_2))
    for column in table.columns[1:]:
        column.header = str(column.header).replace(" MIoU,Dice", "\nMIoU   Dice")
    for model, name in NAMES.items():
        rows = [TABLE_2[data][model] for data in TABLE_2]
        marks = ["" if possible(row) else " !" for row in rows]
        table.add_row(name, *(f"{row.miou:.4f} {row.dice:.4f}{mark}" for row, mark in zip(rows, marks, strict=True)))
    trivial = found.all_foreground
    for where, scores in (("split of", trivial.split), ("all", trivial.all_masks)):
        figures = f"{scores.iou:.3f}  {scores.dice:.3f}"
        table.add_row(f"all-foreground, {where} {scores.images}", "", "", figures, style="italic")
    out.print(table)
    out.print("! impossible: see the checks")
    out.print(
        f"All-foreground, on the {trivial.split.images} test images of the published split and on all masks: "
        f"{trivial.source}"
    )


def _print_costs(out: Console, found: Paper) -> None:
    from ablate.analysis.paper.published import NAMES, TABLE_3_INPUT

    size = "x".join(map(str, TABLE_3_INPUT))
    out.print(f"\nTable 3: cost for {size}, published and counted", style="bold")
    figures = ("M", "counted", "apart", "GMac", "counted ", "apart ", "conv.")
    table = plain_table("", *figures, right=figures)
    readings = {
        row.reading: letter for row, letter in zip(filter(lambda r: r.reading, found.costs), "abcdef", strict=True)
    }
    for row in found.costs:
        table.add_row(
            NAMES[row.model] + (f" ({readings[row.reading]})" if row.reading else ""),
            f"{row.published.params_m:.2f}",
            f"{row.params_m:.2f}",
            _signed(row.params_difference),
            f"{row.published.gmacs:.2f}",
            f"{row.gmacs:.2f}",
            _signed(row.gmacs_difference),
            f"{row.convolution_gmacs:.2f}",
        )
    out.print(table)
    out.print("apart: counted less published; conv.: counted in convolutions alone")
    listed = "; ".join(f"({letter}) {reading}" for reading, letter in readings.items())
    out.print(f"Readings of the paper: {listed}")


def _signed(difference: float) -> str:
    text = f"{difference:+.2f}"
    return "0" if float(text) == 0 else text


def _print_checks(out: Console, checks: tuple[Check, ...]) -> None:
    from rich.padding import Padding
    from rich.text import Text

    from ablate.analysis.paper.published import CODE

    styles = {"holds": "green", "fails": "red", "not checked": "yellow"}
    by_name: dict[str, list[Check]] = {}
    for check in checks:
        by_name.setdefault(check.name, []).append(check)
    out.print("\nChecks", style="bold")
    for name, group in by_name.items():
        held = sum(check.outcome == "holds" for check in group)
        tally = f"{held} of {len(group)} hold" if len(group) > 1 else group[0].outcome
        out.print(Text.assemble("\n", (name[0].upper() + name[1:], "bold"), f": {tally}"))
        for check in group:
            if len(group) > _MOST_LISTED and check.outcome == "holds":
                continue
            line = Text.assemble((check.outcome, styles[check.outcome]), f"  {check.subject}")
            details = [check.found, check.reason] if check.outcome == "fails" else [check.reason]
            if check.outcome != "fails" and len(line) + len(check.reason) + 4 <= out.width:
                line.append(f": {details.pop()}")
            out.print(Padding(line, (0, 0, 0, 2), expand=False))
            for detail in details:
                out.print(Padding(detail, (0, 0, 0, 9), expand=False))
        out.print(Padding(f"source: {group[0].source}", (0, 0, 0, 2), style="dim", expand=False))
    out.print("\nCode", style="bold")
    for name, where in CODE.items():
        out.print(Padding(f"{name}: {where}", (0, 0, 0, 2), expand=False))
