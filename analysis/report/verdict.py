"""The report's part on claims: how each of their hypotheses came out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ablate.analysis.figures.effects import cost_text, signed
from ablate.analysis.format import several
from ablate.analysis.report.page import escape, folded

if TYPE_CHECKING:
    from ablate.analysis.claims.verdict import ClaimResult, Verdict

_SYMBOLS = {"supported": "✓", "refuted": "✗", "inconclusive": "?"}


def claim_section(result: ClaimResult, first: bool) -> str:
    """The claim and its hypotheses; those of further claims, which much overlap, are folded."""
    hypotheses = f'<ul class="verdicts">{"".join(map(_verdict, result.verdicts))}</ul>'
    return (
        f"<h3>{escape(result.statement)}</h3>"
        f'<p class="whole">{_outcome(result.outcome)} {escape(result.sentence)}</p>'
        + (hypotheses if first else folded(several(len(result.verdicts), "verdict"), hypotheses))
    )


def _verdict(verdict: Verdict) -> str:
    remark = f' <span class="note">({escape(verdict.note)})</span>' if verdict.note else ""
    return (
        f"<li>{_outcome(verdict.outcome)}<div><b>{escape(verdict.name)}</b>"
        f'<span class="estimate">{escape(_estimate(verdict))}</span>'
        f"<p>{escape(verdict.sentence)}{remark}</p></div></li>"
    )


def _outcome(outcome: str) -> str:
    """In words, with a symbol and a frame of its own: no colour needed."""
    return f'<span class="outcome {outcome}">{_SYMBOLS.get(outcome, "")} {escape(outcome)}</span>'


def _estimate(verdict: Verdict) -> str:
    """A hypothesis's figure in its unit, with the interval where there is one."""

    def text(value: float) -> str:
        match verdict.unit:
            case "ratio":
                return cost_text(value)
            case "difference":
                return signed(value)
            case "probability":
                return f"{value:.2f}"
            case unit:
                return f"{value:.3g} {unit}".rstrip()

    if not math.isfinite(verdict.estimate):
        return ""
    if not (math.isfinite(verdict.low) and math.isfinite(verdict.high)):
        return text(verdict.estimate)
    return f"{text(verdict.estimate)} [{text(verdict.low)}, {text(verdict.high)}]"
