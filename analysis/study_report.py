"""A study's report: its tables, what they are about, and pictures of its test images, put into one page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from analysis.pareto import cells, fronts, tasks
from analysis.report import About, Picture, render

if TYPE_CHECKING:
    from ablation.config import TrialConfig
    from ablation.study import Study
    from analysis.frames import Frames

_MOST_PICTURES, _MOST_CELLS = 6, 12


def study_report(study: Study, frames: Frames) -> str:
    """The HTML document of `study`, whose tables are `frames`."""
    return render(frames, about(study, frames), pictures(study, frames))


def about(study: Study, frames: Frames) -> About:
    """What a study is about, and how its numbers were made."""
    runs = study.manifest.runs
    configs = [study.config(key) for key in frames.trials["key"]]
    trained = [config for config in configs if not config.is_trivial] or configs
    records = [record for record in study.records().values() if record.state != "trivial"]
    facts = {
        "Spaces": ", ".join(f"{run.space} ({run.design}, {run.profile} profile)" for run in runs),
        "Data": _distinct(_data(config) for config in trained),
        "Split": _distinct(_split(config) for config in trained),
        "Training": _distinct(_training(config) for config in trained),
        "Selection": _distinct(
            "epoch with the best Dice on the test images themselves"
            if config.protocol.split.method == "paper"
            else "epoch with the best Dice on the validation images; scores are of the test images"
            for config in trained
        ),
        "Scores": "Dice and IoU of the foreground, MIoU over all classes (Eq. 1): means over images. "
        "An image whose mask and prediction are both empty scores 1.",
        "MACs": _distinct(
            f"multiply–accumulates of one {c.data.channels}×{c.data.size[0]}×{c.data.size[1]} image, ptflops, modules"
            for c in trained
        ),
        "Seeds": ", ".join(map(str, sorted({config.seed for config in trained}))),
        "Device": _distinct(f"{r.device}, {r.precision}, {r.threads} CPU threads a trial" for r in records),
        "Versions": ", ".join(f"{name} {version}" for name, version in study.manifest.versions.items()),
    }
    missing = len(set(study.manifest.planned()) - set(study.records()))
    notes = (f"{missing} planned trials have not been trained yet.",) if missing else ()
    return About(
        title=", ".join(dict.fromkeys(run.space.replace("_", " ") for run in runs)) or study.path.name,
        question=" ".join(dict.fromkeys(run.question for run in runs)),
        profiles=tuple(dict.fromkeys(run.profile for run in runs)),
        facts=facts,
        notes=notes,
    )


def pictures(study: Study, frames: Frames) -> list[Picture]:
    """Test images, evenly spaced, with the predictions of each cell's first seed (of the best cells, if many)."""
    from ablation.study import picture_name

    complete = frames.trials[frames.trials["state"] == "complete"].sort_values("seed")
    if complete.empty:
        return []
    shown = _best_cells(frames)
    by_data: dict[str, list[tuple[str, str]]] = {}
    for cell, key in complete.groupby("cell", sort=False)["key"].first().items():
        if cell in shown:
            by_data.setdefault(str(study.pictures_dir(study.config(key))), []).append((str(cell), key))
    found = []
    most = max(1, _MOST_PICTURES // len(by_data))
    for trials in by_data.values():
        folder = study.pictures_dir(study.config(trials[0][1]))
        ids = list(dict.fromkeys(study.table(trials[0][1], "images")["image"]))
        step = max(1, len(ids) // most)
        for image in ids[step // 2 :: step][:most]:
            name = picture_name(image)
            found.append(
                Picture(
                    image=image,
                    source=(folder / f"{name}.png").read_bytes(),
                    mask=(folder / f"{name}_mask.png").read_bytes(),
                    predictions={
                        cell: (study.trial_dir(key) / "samples" / f"{name}.png").read_bytes() for cell, key in trials
                    },
                )
            )
    return found


def _best_cells(frames: Frames) -> set[str]:
    records = (record for trials in tasks(frames.trials).values() for record in fronts(trials))
    on_front = {cell for record in records for cell in record.front}
    ranked = sorted(
        (cell for cell in cells(frames.trials) if not cell.trivial),
        key=lambda cell: (cell.id not in on_front, -cell.dice.mean),
    )
    return {cell.id for cell in ranked[:_MOST_CELLS]}


def _distinct(texts: Iterator[str]) -> str:
    return "; ".join(dict.fromkeys(texts))


def _data(config: TrialConfig) -> str:
    height, width = config.data.size
    options = config.data.model_dump(exclude={"name", "size", "channels", "fingerprint"})
    return " ".join(
        [
            f"{config.data.name} at {config.data.channels}×{height}×{width}",
            *(f"{name}={value}" for name, value in options.items()),
            f"(fingerprint {config.data.fingerprint})",
        ]
    )


def _split(config: TrialConfig) -> str:
    split = config.protocol.split
    if split.method == "paper":
        return "as the paper: 80 % train, 20 % both select and judge (scikit-learn, random_state=41)"
    order = f"shuffled with seed {split.seed}" if split.shuffle else "contiguous blocks"
    if split.method == "kfold":
        return f"fold {split.fold} of {split.folds} tests, the next validates; {order}"
    return f"{1 - split.val - split.test:.0%} train, {split.val:.0%} validation, {split.test:.0%} test; {order}"


def _training(config: TrialConfig) -> str:
    protocol = config.protocol
    augment = f"augmented by {', '.join(protocol.augment)}" if protocol.augment else "not augmented"
    loss = "binary cross-entropy" if config.data.classes == 1 else "cross-entropy"
    return (
        f"{protocol.epochs} epochs, batch {protocol.batch_size}, Adam at {protocol.learning_rate:g}, {loss}, {augment}"
    )
