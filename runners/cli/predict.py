"""`ablate predict`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ablate.errors import InputError, brief
from ablate.files import kind
from ablate.runners.cli import completion
from ablate.runners.cli.mask_files import Job, below, check_targets, jobs
from ablate.runners.cli.naming import open_study, study_argument, trial_named, trials_named
from ablate.runners.cli.output import note, print_json, progress, say, write
from ablate.runners.cli.shared import code_option, json_option, notes, say_imports, use_own_code

if TYPE_CHECKING:
    from ablate.part import DataPart
    from ablate.prediction import Ensemble
    from ablate.study.study import Study


@click.command()
@study_argument
@click.argument("arguments", nargs=-1, metavar="[KEY] [IMAGE...]", shell_complete=completion.trial_then_files)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The folder for the masks.")
@click.option(
    "--key",
    "keys",
    multiple=True,
    help="A trial, in place of KEY; may be given several times.",
    shell_complete=completion.trials,
)
@click.option(
    "--cell",
    help="All seeds and folds of a configuration, by its key, its label or as n7.",
    shell_complete=completion.cells,
)
@click.option(
    "--all", "folder", type=click.Path(path_type=Path), metavar="DIR", help="Every image below a folder, without IMAGE."
)
@click.option("--probabilities", is_flag=True, help="Also write the probabilities, as float32.")
@code_option
@click.option("--force", "--overwrite", is_flag=True, help="Replace masks that are there; never the images.")
@click.option("--skip-existing", is_flag=True, help="Leave masks that are there, and make the others.")
@json_option
def predict(
    study: Path,
    arguments: tuple[str, ...],
    output: Path,
    keys: tuple[str, ...],
    cell: str | None,
    folder: Path | None,
    probabilities: bool,
    code: Path | None,
    force: bool,
    skip_existing: bool,
    as_json: bool,
) -> None:
    """Segment images with a trained trial, or with the mean of several.

    KEY is a trial's key, its first four or more characters, the short name
    (n7) or the label (levels=4) of a cell with one trial, or "best": the trial
    of the latest space with the highest Dice on its validation images. Of
    several, with commas between, the probabilities are averaged.

    Each IMAGE comes back as a mask of its own kind, size and name: NIfTI with
    the scan's geometry, TIFF with its pages, NPY, PNG; JPEG as PNG. A mask
    holds the values that the training masks had (data.labels); without these
    the class indices, but in PNG of two classes white as the foreground.

    Files that are there are not replaced, nor is anything else done, without
    --force. Each file is written whole or not at all.

    \b
    Examples:
      ablate predict STUDY 1f0c2ab34d56 scan.nii.gz -o predicted/
      ablate predict STUDY best --all scans/ -o predicted/ --probabilities
      ablate predict STUDY 1f0c,77ab slice.png -o predicted/
      ablate predict STUDY --cell 9b3e --all scans/ -o predicted/
    """
    from ablate.data.headers import check_header

    if not keys and cell is None:
        keys, arguments = arguments[:1], arguments[1:]
    if force and skip_existing:
        raise InputError("--force replaces masks and --skip-existing keeps them: leave one out")
    opened = open_study(study)
    chosen = _chosen(opened, keys, cell)
    data = opened.config(chosen[0]).data
    planned = jobs(*_images(arguments, folder, output), output, data, probabilities=probabilities)
    check_targets(planned, force=force, skip_existing=skip_existing)
    left = [job for job in planned if not (skip_existing and all(map(kind, job.targets)))]
    for image in (image for job in left for image in job.sources):
        check_header(image)
    use_own_code(code)
    say_imports([opened.config(key) for key in chosen])
    ensemble = _ensemble(opened, chosen)
    written = _segment(ensemble, left, skip_existing=skip_existing, quiet=as_json)
    if as_json:
        print_json(_document(opened, chosen, data, planned, written))
    for line in notes(opened):
        note(line)


def _chosen(study: Study, keys: Sequence[str], cell: str | None) -> list[str]:
    """The keys of the trials that are meant, each once."""
    if not keys and cell is None:
        raise InputError("no trial is given: give a KEY, or --cell; 'best' is the best of the latest space")
    found = [trial_named(study, name.strip(), for_all="--cell") for names in keys for name in names.split(",")]
    return list(dict.fromkeys([*found, *(trials_named(study, cell) if cell is not None else [])]))


def _images(given: Sequence[str], folder: Path | None, output: Path) -> tuple[list[Path], Path | None]:
    """The images, and the folder below which their own folders are kept."""
    if folder is None:
        if not given:
            raise InputError("there is nothing to segment: give images after the KEY, or --all DIR")
        return [Path(image) for image in given], None
    if given:
        raise InputError(f"--all '{folder}' and '{brief(given[0])}': give a folder or images, not both")
    found = below(folder, output)
    if over := found.passed_over:
        names = ", ".join(f"'{path}'" for path in over[:3]) + ", …" * (len(over) > 3)
        note(f"Passed over, no images: {len(over)} below '{folder}' ({names})")
    return found.images, folder


def _ensemble(study: Study, keys: Sequence[str]) -> Ensemble:
    """The trained networks, said on standard error."""
    from ablate.prediction import Ensemble

    ensemble = Ensemble.of_trials(study, keys)
    if len(keys) > 1:
        note(f"The mean of {len(keys)} trials:")
    for trial in _described(study, keys):
        scores = f": validation Dice {trial['val_dice']:.3f}" if trial["val_dice"] is not None else ""
        note(f"Trial {trial['key']} ({trial['label']}, seed {trial['seed']}){scores}")
    return ensemble


def _described(study: Study, keys: Sequence[str]) -> list[dict[str, Any]]:
    from ablate.analysis.format import level_label
    from ablate.study.chosen import short_names_of_cells

    levels = {key: own for run in study.manifest.runs for key, own in run.trials.items()}
    short = short_names_of_cells(study)
    found = []
    for key in keys:
        record = study.records()[key]
        label = short.get(record.cell) or level_label({f: v for f, v in levels.get(key, {}).items() if f != "seed"})
        scores = {"val_dice": record.val_dice, "val_iou": record.val_iou, "val_miou": record.val_miou}
        found.append({"key": key, "cell": record.cell, "label": label or record.model, "seed": record.seed, **scores})
    return found


def _segment(ensemble: Ensemble, planned: Sequence[Job], *, skip_existing: bool, quiet: bool) -> dict[Path, Job]:
    """Make what is to be made, an image at a time; what was written, of which image.

    Raises `InputError` for an image that cannot be read. What was made of those before it is kept.
    """
    written: dict[Path, Job] = {}
    with progress() as bar:
        try:
            for number, job in enumerate(bar.track(planned, description="segmenting")):
                for target, content in zip(job.targets, _files(ensemble, job, number, len(planned)), strict=True):
                    if not (skip_existing and kind(target)):
                        write(target, content)
                        written[target] = job
                        if bar.disable and not quiet:
                            say(target)
        finally:
            bar.stop()
            if not bar.disable and not quiet:  # beside a bar they would be on its line
                for target in written:
                    say(target)
    return written


def _files(ensemble: Ensemble, job: Job, before: int, count: int) -> list[bytes]:
    """The content of each of the job's targets."""
    from ablate.data.writing import mask_file, probability_file

    try:
        found = ensemble.segment(job.image, job.others, probabilities=bool(job.probabilities))
    except InputError as error:
        kept = f"; the {before} of {count} images before it are done, and --skip-existing does the rest"
        raise InputError(f"{error}{kept if before else ''}") from None
    planes = () if found.probabilities is None else found.probabilities.swapaxes(0, 1)
    mask = mask_file(job.image, found.picture, found.classes, ensemble.data)
    return [mask, *(probability_file(job.image, found.picture, plane) for plane in planes)]


def _document(study: Study, keys: Sequence[str], data: DataPart, planned: Sequence[Job], new: dict[Path, Job]) -> Any:
    """What `--json` prints."""
    from ablate.data.writing import values_of

    def files(job: Job) -> dict[str, Any]:
        mask, *more = map(str, job.targets)
        made = {"mask": mask, "probabilities": more, "written": job.mask in new}
        return {"image": str(job.image), "channels": [str(path) for path in job.others]} | made

    return {
        "study": str(study.path),
        "trials": _described(study, keys),
        "values": list(values_of(data).numbers),
        "images": [files(job) for job in planned],
    }
