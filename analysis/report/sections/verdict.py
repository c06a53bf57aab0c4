"""The report's part on claims: how each of their hypotheses came out."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Literal

from markupsafe import Markup

from ablate.analysis.claims.whole import said_of_error, said_of_power
from ablate.analysis.figures.effects import cost_text, signed
from ablate.analysis.format import several
from ablate.analysis.report.content import Content
from ablate.analysis.report.page import Part, laid_out
from ablate.analysis.report.sections.base import Section
from ablate.settings import Number

if TYPE_CHECKING:
    from ablate.analysis.claims.verdict import ClaimResult, Verdict


class Verdicts(Section):
    """The claims that apply, the first in full."""

    name: Literal["verdict"] = "verdict"
    title: str = "Verdict"
    place: Number = 10

    def parts(self, content: Content) -> Iterable[Part]:
        claims = content.evidence.claims
        return [partial(claim_section, claim, first=claim is claims[0]) for claim in claims]


def claim_section(result: ClaimResult, first: bool) -> Markup:
    """The claim and its hypotheses; those of further claims, which much overlap, are folded."""
    verdicts = [(verdict, _estimate(verdict)) for verdict in result.verdicts]
    said = [result.registered, said_of_error(result), said_of_power(result)]
    fold = "" if first else several(len(verdicts), "verdict")
    return laid_out("claim", claim=result, verdicts=verdicts, said=list(filter(None, said)), fold=fold)


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
