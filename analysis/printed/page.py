"""A LaTeX document with a study's figures and tables, to go on from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ablate.analysis.paper.tables import TABLES, Held
from ablate.analysis.paper.typeset import latex as latex_of_paper
from ablate.analysis.printed.drawing import Asked
from ablate.analysis.printed.figures import ACROSS, FIGURES, Printed, all_printed
from ablate.analysis.printed.sheet import COLUMN, PAGE
from ablate.analysis.tables import results_table
from ablate.analysis.typeset import latex, latex_text

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames
    from ablate.analysis.report.content import About
    from ablate.study.study import Study

DOCUMENT = "paper.tex"
_HEAD = rf"""% pdflatex {DOCUMENT}, twice
\documentclass[11pt]{{article}}
\usepackage[a4paper,textwidth={PAGE:g}mm,textheight=247mm]{{geometry}}
\usepackage{{booktabs,tabularx,graphicx}}
\renewcommand{{\topfraction}}{{0.95}}
\renewcommand{{\bottomfraction}}{{0.95}}
\renewcommand{{\textfraction}}{{0.05}}
\renewcommand{{\floatpagefraction}}{{0.8}}
\setcounter{{topnumber}}{{4}}
\setcounter{{totalnumber}}{{6}}
\makeatletter % a page of figures alone is filled from its top
\setlength{{\@fptop}}{{0pt}}\setlength{{\@fpsep}}{{14pt}}\setlength{{\@fpbot}}{{0pt plus 1fil}}
\makeatother
"""
_METHOD = ("Data", "Split", "Training", "Selection", "Seeds", "Scores", "Statistics", "Device", "Made by")


class Page(NamedTuple):
    """Files by name, `DOCUMENT` and what it includes, and why figures are not among them, by name."""

    files: dict[str, bytes]
    left_out: dict[str, str]


def page(study: Study, frames: Frames, about: About, notes: Sequence[str], asked: Asked) -> Page:
    """Every figure that the study has, its results and, of the paper's networks, the paper's tables, on one page.

    `notes` are what must be said of the numbers. Raises `InputError` where no trial is complete.
    """
    figures = all_printed(study, frames, asked)
    drawn = {name: one for name, one in figures.items() if isinstance(one, Printed)}
    stand_for = [f"{one.name}: {one.configuration}." for one in frames.named.values()]
    metrics = list(dict.fromkeys([asked.metric, "dice", "miou"]))
    results = results_table(frames, metrics, facts=about.facts, notes=[*notes, *stand_for])
    tables = {"results": latex(results)}
    if any(name.startswith("paper-") for name in drawn):
        held = Held(study, frames, about.facts, notes)
        if held.papers:
            tables |= {name: latex_of_paper(make([held])) for name, make in TABLES.items()}
    files = {f"{name}.pdf": one.content for name, one in drawn.items()}
    # Among figures that stand where they fit, a table that is only ever at a page's top would keep them all waiting.
    tables = {name: text.replace("{table}[t]", "{table}[htbp]") for name, text in tables.items()}
    files |= {f"{name}.tex": text.encode(errors="backslashreplace") for name, text in tables.items()}
    files[DOCUMENT] = _document(about, drawn, tables).encode(errors="backslashreplace")
    return Page(files, {name: one for name, one in figures.items() if isinstance(one, str)})


def _document(about: About, figures: Mapping[str, Printed], tables: Mapping[str, str]) -> str:
    said = [
        rf"\textbf{{{name}:}} {latex_text(about.facts[name].rstrip('.'))}." for name in _METHOD if about.facts.get(name)
    ]
    lines = [
        _HEAD,
        rf"\title{{{latex_text(about.question or about.title)}}}",
        r"\author{}\date{}",
        r"\begin{document}",
        r"\maketitle",
        *([r"\section{Method}", " ".join(said)] if said else []),
        r"\section{Results}",
        " ".join(
            [r"Table~\ref{tab:results} has every network's scores and costs."]
            + [rf"Figure~\ref{{fig:{name}}} shows {latex_text(FIGURES[name][0])}." for name in figures]
        ),
    ]
    lines += [rf"\input{{{name}}}" for name in tables]
    narrow = [name for name in figures if name not in ACROSS]
    pairs = [narrow[at : at + 2] for at in range(0, len(narrow), 2)]
    for names in [*pairs, *([name] for name in figures if name in ACROSS)]:
        lines += [r"\begin{figure}[htbp]", r"\centering"]
        lines.append("\\hfill\n".join(_figure(name, figures[name]) for name in names))
        lines.append(r"\end{figure}")
    return "\n".join([*lines, r"\end{document}"]) + "\n"


def _figure(name: str, one: Printed) -> str:
    width = PAGE if name in ACROSS else COLUMN
    return (
        rf"\begin{{minipage}}[t]{{{width:g}mm}}"
        "\n"
        rf"\includegraphics{{{name}.pdf}}"
        "\n"
        rf"\caption{{{latex_text(one.whole_caption)}}}\label{{fig:{name}}}"
        "\n"
        r"\end{minipage}"
    )
