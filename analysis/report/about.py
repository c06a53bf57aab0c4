"""What a study's report is about, in words: its question, how its numbers were made, and what it lacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import yaml

from ablate.analysis.by_seed import remarks
from ablate.analysis.format import listing, resolution, several
from ablate.analysis.guard import noted
from ablate.analysis.report.content import About
from ablate.analysis.report.head import head_of
from ablate.analysis.report.recipe import own_metrics, selection, trainings
from ablate.data.fit import fit_of
from ablate.data.value_settings import in_words
from ablate.errors import InputError

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames
    from ablate.origin import Origin
    from ablate.study.runs import Run
    from ablate.study.study import Study
    from ablate.trial import TrialConfig

_OF_NOTHING = {"one": "scores 1", "skip": "is left out", "zero": "scores 0"}
_MOST_CAUTIONS = 10
_STATISTICS = (
    "Intervals are of 95 %, from variance components of seeds and test images with matching degrees of freedom; "
    "differences are paired by seed and image, and their p-values Holm-corrected over a family. The probability of "
    "being on a front, and the bands of fronts, are a hierarchical bootstrap's (seeds, then images; 1,000 resamples, "
    "fixed seed). One seed has no interval."
)


def about(study: Study, frames: Frames) -> About:
    """What a study is about, and how its numbers were made. What cannot be said is among its notes."""
    runs = study.manifest.runs
    notes: list[str] = noted([], "folds and cases", partial(remarks, frames), [])
    read = (noted(notes, f"trial {key}", partial(study.config, key), None) for key in frames.trials["key"])
    configs = [config for config in read if config is not None]
    trained = [config for config in configs if not config.is_trivial] or configs
    records = noted(notes, "records", study.records, {})
    trials = [record for record in records.values() if record.state != "trivial"]
    facts = {
        "Spaces": lambda: ", ".join(f"{run.space} ({run.design}, {run.profile} profile)" for run in runs),
        "Data": lambda: _distinct(map(_data, trained)),
        "Split": lambda: _distinct(_split(config, trained) for config in trained),
        "Training": lambda: trainings(trained),
        "Selection": lambda: _distinct(map(selection, trained)),
        "Scores": lambda: (
            "Dice and IoU of the foreground, MIoU over all classes (Eq. 1): means over images. "
            f"An image whose mask and prediction are both empty {_OF_NOTHING[frames.scoring.empty]}. "
            f"Scores are {listing(list(dict.fromkeys(resolution(config.data) for config in trained)))}."
            + "".join(dict.fromkeys(map(own_metrics, trained)))
        ),
        "MACs": lambda: _distinct(
            f"multiply–accumulates of one {c.data.channels}×{c.data.size[0]}×{c.data.size[1]} "
            f"{'window' if fit_of(c.data) == 'patches' else 'image'}, ptflops, modules"
            for c in trained
        ),
        "Seeds": lambda: ", ".join(map(str, sorted({config.seed for config in trained}))),
        "Statistics": lambda: _STATISTICS,
        "Device": lambda: _counted(f"{r.device}, {r.precision}, {r.threads} CPU threads a trial" for r in trials),
        "Made by": lambda: _counted(_made_by(study.origin(record)) for record in trials),
    }
    missing = len(set(study.plans.levels) - set(records))
    if missing:
        notes.append(f"{several(missing, 'planned trial')} not trained yet.")
    definitions = {}
    for run in runs:
        what = f"definition of {run.space}"
        definitions[f"{run.space} ({run.profile} profile)"] = noted(notes, what, partial(_definition, run), "")
        unbuildable = noted(notes, what, partial(_unbuildable, run), "")
        notes += [unbuildable] if unbuildable else []
    said = {name: noted(notes, name, make, "") for name, make in facts.items()}
    return About(
        title=", ".join(dict.fromkeys(run.space.replace("_", " ") for run in runs)) or study.path.name,
        question=" ".join(dict.fromkeys(run.question for run in runs)),
        profiles=tuple(dict.fromkeys(run.profile for run in runs)),
        facts=said,
        notes=tuple(notes),
        definitions=definitions,
        head=noted(notes, "head", partial(head_of, study, trained, trials), {}),
        cautions=_cautions(study.said_of_faults()),
    )


def _cautions(left_out: Sequence[str]) -> tuple[str, ...]:
    """What the tables lack, since it is not what was written; of much, the first of it."""
    more = len(left_out) - _MOST_CAUTIONS
    return (*left_out[:_MOST_CAUTIONS], *([f"And {more} more: `ablate verify` has them all."] if more > 0 else []))


def _definition(run: Run) -> str:
    return yaml.safe_dump(run.definition, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100)


def _unbuildable(run: Run) -> str:
    """Which of a space's configurations were never planned, because they cannot be built."""
    from pydantic import ValidationError

    from ablate.analysis.format import level_label
    from ablate.search_spaces.designs import expand
    from ablate.search_spaces.space import Space

    if run.design != run.definition.get("design"):  # a search proposes what it likes
        return ""
    try:
        variants = expand(Space.model_validate(run.definition))
    except (ValidationError, InputError):  # a space of another version
        return ""
    planned = {tuple(sorted(levels.items())) for levels in run.trials.values()}
    absent = [variant.levels for variant in variants if tuple(sorted(variant.levels.items())) not in planned]
    names = [level_label(levels) for levels in absent]
    return (
        f"{several(len(absent), 'configuration')} of {run.space} cannot be built (`ablate plan` has the reasons): "
        f"{listing(names)}."
        if absent
        else ""
    )


def _made_by(origin: Origin) -> str:
    others = {"numpy": origin.numpy, "Python": origin.python}
    return ", ".join([str(origin), *(f"{name} {version}" for name, version in others.items() if version)])


def _counted(texts: Iterable[str]) -> str:
    """What is true of trials: of several, how many."""
    counts = Counter(texts)
    return "; ".join(counts if len(counts) < 2 else (f"{text} ({several(n, 'trial')})" for text, n in counts.items()))


def _distinct(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(texts))


def _data(config: TrialConfig) -> str:
    height, width = config.data.size
    hidden = ("size", "channels", "fingerprint")
    options = {name: value for name, value in config.data.settings.items() if name not in hidden}
    return " ".join(
        [
            f"{config.data.name} at {config.data.channels}×{height}×{width}",
            *(f"{name}={in_words(value)}" for name, value in options.items()),
            f"(fingerprint {config.data.fingerprint})",
        ]
    )


def _split(config: TrialConfig, trained: Sequence[TrialConfig]) -> str:
    split = config.protocol.split
    if split.method == "paper":
        return "as the paper: 80 % train, 20 % both select and judge (scikit-learn, random_state=41)"
    order = f"shuffled with seed {split.seed}" if split.shuffle else "contiguous blocks"
    if split.stratify:
        order += f", stratified by {split.stratify}"
    if split.method == "kfold":
        whole = config.of_fold(0).protocol.split
        there = {one.fold for one in trained if one.of_fold(0).protocol.split == whole}
        known = sorted(fold for fold in there if fold is not None)
        some = "" if len(known) == split.folds else f" ({', '.join(map(str, known))} trained)"
        return f"{split.folds} folds{some}: each tests once, and the next validates; {order}"
    if split.method == "fixed":
        return f"as the data set fixes it; where that has no validation images, {split.val:.0%} of training; {order}"
    return f"{1 - split.val - split.test:.0%} train, {split.val:.0%} validation, {split.test:.0%} test; {order}"
