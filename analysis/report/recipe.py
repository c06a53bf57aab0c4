"""A trial's recipe in words, from its configuration alone: nothing that it names is imported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ablate.analysis.format import listing, setting, several
from ablate.data.fit import fit_of
from ablate.kinds import kind_at, own_defaults
from ablate.metrics.counts import METRICS

if TYPE_CHECKING:
    from ablate.part import Part
    from ablate.trial import TrialConfig

_NAMES = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD", "rmsprop": "RMSprop", "cross_entropy": "cross-entropy"}
_LEAST_SAID = 1e-3
"""Of a setting at its default: smaller ones keep from dividing by zero."""


def trainings(configs: Iterable[TrialConfig]) -> str:
    """How networks are trained: what all have in common, then what differs."""
    distinct = list(dict.fromkeys(map(_training, configs)))
    common = [part for part in distinct[0] if all(part in other for other in distinct)] if distinct else []
    rest = [", ".join(part for part in parts if part not in common) for parts in distinct]
    varied = f"; varied: {' / '.join(text or 'none of these' for text in rest)}" if len(distinct) > 1 else ""
    return ", ".join(common) + varied


def _training(config: TrialConfig) -> tuple[str, ...]:
    """What a recipe does without is not said."""
    protocol = config.protocol
    optimizer = named("optimizer", config.optimizer, f" at {protocol.learning_rate:g}")
    parts = [f"{protocol.epochs} epochs", f"batch {protocol.batch_size}", optimizer, *_over_time(config)]
    binary = config.loss.name == "cross_entropy" and config.data.classes == 1
    parts.append(f"{'binary ' if binary else ''}{named('loss', config.loss)}")
    if fit_of(config.data) == "patches":
        parts.append(_patches(config))
    if protocol.deep_supervision is not None:
        parts.append(f"heads weighted {setting(list(protocol.deep_supervision))}")
    if protocol.initialisation is not None:
        parts.append(f"{protocol.initialisation} initialisation")
    augmented = [*protocol.augment, *(named("augmentation", part) for part in config.augmentation)]
    return (*parts, f"augmented by {', '.join(augmented)}" if augmented else "not augmented")


def _patches(config: TrialConfig) -> str:
    (height, width), protocol = config.data.size, config.protocol
    count = protocol.patches_per_image
    return (
        f"{count} patch{'es' if count > 1 else ''} of {height}x{width} an image and epoch, "
        f"{protocol.patch_foreground:.0%} about the foreground; predicted by windows that overlap by "
        f"{protocol.window_overlap:.0%}"
    )


def _over_time(config: TrialConfig) -> Iterator[str]:
    protocol = config.protocol
    if config.schedule.name != "constant":
        yield f"{named('schedule', config.schedule)} schedule"
    if protocol.warmup_epochs:
        yield f"warm-up over {several(protocol.warmup_epochs, 'epoch')}"
    if protocol.clip_norm is not None:
        yield f"gradients clipped to {protocol.clip_norm:g}"
    if protocol.ema:
        yield f"averaged weights (decay {protocol.ema:g})"
    if protocol.compile:
        yield "compiled"
    if protocol.patience is not None:
        yield f"ended after {several(protocol.patience, 'epoch')} without a better one"


def selection(config: TrialConfig) -> str:
    """What the best epoch is best by, and on which images; how test images are predicted."""
    protocol = config.protocol
    best = "the lowest loss" if protocol.select == "loss" else f"the best {METRICS[protocol.select].label}"
    flips = f", each the mean over its flips ({', '.join(protocol.test_flips)})" if protocol.test_flips else ""
    if protocol.split.method == "paper":
        return f"epoch with {best} on the test images themselves{flips}"
    return f"epoch with {best} on the validation images; scores are of the test images{flips}"


def own_metrics(config: TrialConfig) -> str:
    """The metrics that are the trial's own, or nothing."""
    said = [
        named("metrics", part) if label == part.name else f"{label}, which is {named('metrics', part)}"
        for label, part in zip(config.metric_labels, config.metrics, strict=True)
    ]
    return f" Of the foreground too: {listing(said)}." if said else ""


def named(place: str, part: Part, after: str = "") -> str:
    """A part by its name with its settings: `SGD at 0.01 (momentum=0.9)`."""
    said = settings(place, part)
    return f"{_NAMES.get(part.name, part.name)}{after}{f' ({said})' if said else ''}"


def settings(place: str, part: Part) -> str:
    """The settings that were given, and of this project's parts also the numbers that are not: a strength, a decay."""
    defaults = {
        name: value
        for name, value in own_defaults(kind_at(place), part).items()
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) >= _LEAST_SAID
    }
    return ", ".join(f"{name}={setting(value)}" for name, value in sorted({**defaults, **part.settings}.items()))
