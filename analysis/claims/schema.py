"""A claim: a statement about one cell, its subject, as hypotheses that a study can decide. A YAML file.

name: lightweight
statement: PyConvU-Net is lightweight and as accurate as its rivals.
subject: {model: pyconvunet}                              # must select one cell
against: [{model: unet, width: 32}, {model: fcn8s}]       # its rivals, one cell each
hypotheses:
  - {kind: fewest, cost: params}
  - {kind: non_inferior, metric: dice, margin: 0.01, failures: {below: 0.4, tolerance: 0.1}}
  - {kind: superior, metric: hd95, class: liver}            # of one class; less is better, so superior is lower
runtime: onnx-int8                                        # scores are of the masks of files in int8
empty: skip                                               # images that lack a class, and whose prediction does
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ablate.analysis.scoring import FailBelow
from ablate.cost.names import cost_named, runtime_named
from ablate.metrics.counts import Empty
from ablate.yaml_files import packaged_or_own, read_yaml

_MOST = 100
"""Hypotheses of a claim, rivals of each, columns that select one: each is worked out, and most by drawing at random."""

_Text = Annotated[str, Field(max_length=200)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]
Selector = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=200)], _Text | int | _Finite | bool],
    Field(min_length=1, max_length=_MOST),
]
"""What a cell must have: columns of the trial table (`model`, `label`, `cell`, `factor.levels`, …), or fields of the
network's configuration (`width`, `stages`, `block`, …), with their values."""


_Metric = Annotated[str, Field(pattern=r"^[A-Za-z_]\w{0,79}(\.[^\n]{1,80})?$")]
"""`dice`, `iou`, `miou`, `sensitivity`, `precision`, `specificity`, or a metric of the trials' own; of one class with a
dot and its name or index after it, as by `class`. A study says which it has."""
_Margin = Annotated[float, Field(le=1e6)]
"""In the metric's own unit: below 1 for what is from 0 to 1."""


_Cost = Annotated[str, AfterValidator(cost_named)]
"""`params`, `macs`, `latency_ms`, `peak_memory_mb`; of a file in a runtime `latency_ms@onnx`, `file_mb@onnx-int8`, …"""


class _Hypothesis(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


class _Scored(_Hypothesis):
    metric: _Metric

    @model_validator(mode="before")
    @classmethod
    def _of_class(cls, fields: Any) -> Any:
        """`class: liver` is the metric's of that class."""
        if not isinstance(fields, dict) or "class" not in fields or not isinstance(fields.get("metric"), str):
            return fields
        named = {name: value for name, value in fields.items() if name != "class"}
        return named | {"metric": f"{fields['metric']}.{fields['class']}"}


class _AgainstRivals(_Hypothesis):
    against: list[Selector] | None = Field(None, max_length=_MOST)
    """The rivals, where they are others than the claim's."""


class Fewest(_AgainstRivals):
    """The subject has less of a cost than every rival."""

    kind: Literal["fewest"]
    cost: _Cost


class Lost(_Hypothesis):
    """How much more often the subject may fail than its rival: by `tolerance` of the test cases at most."""

    below: Annotated[float, Field(gt=0, le=1)] | Literal["half"] = "half"
    """The Dice below which a case is lost; `half`: of what the data set's best network typically reaches."""
    tolerance: float = Field(0.1, gt=0, lt=1)


class NonInferior(_Scored, _AgainstRivals):
    """The subject's score is typically worse than each rival's by at most `margin`, and it fails not more often than
    that by more than it tolerates: a one-sided bound of each lies beyond what is allowed."""

    kind: Literal["non_inferior"]
    margin: _Margin = Field(gt=0)
    failures: Lost = Lost()


class Superior(_Scored, _AgainstRivals):
    """The subject's score is better than each rival's (Holm's correction over the rivals)."""

    kind: Literal["superior"]


class OnFront(_Scored):
    """With at least `probability`, no cell of its data set beats the subject in score and cost at once."""

    kind: Literal["on_front"]
    cost: _Cost
    probability: float = Field(0.95, gt=0.5, lt=1)


class MatchedBudget(_Scored):
    """The subject's score is better than that of a `family` at the subject's own cost.

    The family's score there is interpolated between its two cells on either side, linearly in the logarithm of the
    cost. With a `margin`, not worse than it by more than that.
    """

    kind: Literal["matched_budget"]
    cost: _Cost
    family: Selector
    margin: _Margin = Field(0.0, ge=0)


Hypothesis = Annotated[Fewest | NonInferior | Superior | OnFront | MatchedBudget, Field(discriminator="kind")]


class Claim(BaseModel):
    """A statement, the cells it is about, and the hypotheses that it consists of."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    name: str = Field(min_length=1, max_length=100)
    statement: str = Field(max_length=1000)
    subject: Selector
    against: list[Selector] = Field(default_factory=list, max_length=_MOST)
    hypotheses: list[Hypothesis] = Field(min_length=1, max_length=_MOST)
    runtime: Annotated[str, AfterValidator(runtime_named)] | None = None
    """Scores are of the masks that the networks' files find there, not of their own."""
    empty: Empty | None = None
    """What an image scores in a class that neither its mask nor its prediction has; `one` unless it is said."""

    def about(self, of_class: str = "", empty: Empty | None = None, fail_below: FailBelow | None = None) -> Claim:
        """The same of one class, where a hypothesis names none itself, and by these choices of what empty masks score
        and below which Dice a case is lost."""

        def narrowed(one: Hypothesis) -> Hypothesis:
            if isinstance(one, NonInferior) and fail_below is not None:
                one = one.model_copy(update={"failures": one.failures.model_copy(update={"below": fail_below})})
            if isinstance(one, Fewest) or not of_class or "." in one.metric:
                return one
            return one.model_copy(update={"metric": f"{one.metric}.{of_class}"})

        return self.model_copy(
            update={"hypotheses": [narrowed(one) for one in self.hypotheses], "empty": empty or self.empty}
        )


def packaged() -> dict[str, Path]:
    """The claims that come with ablate, by name."""
    return {file.stem: file for file in sorted(Path(__file__).parent.glob("*.yaml"))}


def load_claim(name_or_path: str) -> Claim:
    """A packaged claim by name, or a user's own by path. Raises `InputError`, for a slip with file and line."""
    path = packaged_or_own(name_or_path, packaged(), "claim")
    return read_yaml(path, Claim, "claim", "name, statement, subject and hypotheses")
