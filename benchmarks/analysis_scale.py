"""What the analysis of a large study takes: synthetic tables of 10,000 trials, each part timed, and the report's size.

    python benchmarks/analysis_scale.py
    python benchmarks/analysis_scale.py --cells 3334 --seeds 3 --design random

The tables are made here: cells whose accuracy grows with the logarithm of their cost, with noise of cells, seeds and
images, and three of the four costs trading off against each other. For comparison, in the same run, Optuna's
`best_trials` and `plot_pareto_front` get the same points.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from ablate.analysis.frames import Frames, scores_by_trial
from ablate.study.runs import Run

_FAMILIES = ("unet", "pyconvunet", "unet_plus_plus", "attention_unet", "resnet34_unet", "fcn8s")
_FACTORS = ("width", "levels", "groups", "depth")
"""Of ten levels each: the digits of a cell's number."""
_PIXELS = 128 * 128


def tables(cells: int, seeds: int, images: int, epochs: int, seed: int = 0) -> Frames:
    """Tables as `ablate.analysis.frames.load` gives them of a study of `cells` networks and the three trivial rows."""
    rng = np.random.default_rng(seed)
    params = np.exp(rng.uniform(np.log(1e5), np.log(4e7), cells)).round()
    quality = 0.65 + 0.06 * np.log10(params / 1e5) + rng.normal(0, 0.02, cells)
    trials = cells * seeds
    cell = np.repeat(np.arange(cells), seeds)
    hard = rng.normal(0, 0.06, images)
    scores = quality[cell, None] + hard + rng.normal(0, 0.01, (trials, 1)) + rng.normal(0, 0.02, (trials, images))
    foreground = rng.integers(2000, 6000, images)
    hits = (np.clip(scores, 0.02, 0.99) * foreground).astype(np.int64)
    wrong = foreground - hits  # misses and false alarms alike: Dice is then hits over foreground
    keys = np.array([f"{at:012x}" for at in range(trials)])
    names = np.array([f"{at:012x}" for at in range(cells)])
    trivial = np.tile(foreground, (3, 1)) * np.array([[1], [1], [0]])
    trivial_keys = np.array([f"trivial{at}" for at in range(3)])

    def counts(key: np.ndarray, tp: np.ndarray, fp: np.ndarray, fn: np.ndarray) -> pd.DataFrame:
        rows, tn = tp.size, _PIXELS - tp - fp - fn
        one = {"key": np.repeat(key, images), "image": np.tile([f"{at:03d}" for at in range(images)], len(key))}
        front = pd.DataFrame({**one, "class": np.ones(rows, int), "tp": tp.ravel(), "fp": fp.ravel()})
        front = front.assign(fn=fn.ravel(), tn=tn.ravel())
        back = pd.DataFrame({**one, "class": np.zeros(rows, int), "tp": tn.ravel(), "fp": fn.ravel()})
        return pd.concat([back.assign(fn=fp.ravel(), tn=tp.ravel()), front], ignore_index=True)

    filled = _PIXELS - np.tile(foreground, (3, 1))
    table = pd.concat(
        [
            counts(keys, hits, wrong, wrong),
            counts(trivial_keys, trivial, filled * (trivial > 0), np.tile(foreground, (3, 1)) - trivial),
        ],
        ignore_index=True,
    )
    family = np.array(_FAMILIES)[np.arange(cells) % len(_FAMILIES)]
    frame = pd.DataFrame(
        {
            "key": keys, "cell": names[cell], "space": "synthetic",
            **{f"factor.{name}": (cell // 10**at % 10).astype(str) for at, name in enumerate(_FACTORS)},
            "data": "slices", "model": family[cell],
            "seed": np.tile(np.arange(seeds), cells), "state": "complete", "params": params[cell],
            "macs": (params * np.exp(rng.normal(6, 0.7, cells))).round()[cell],
            "latency_ms": (3 + params**0.5 / 200 * np.exp(rng.normal(0, 0.4, cells)))[cell],
            "latency_device": "cpu (synthetic, 1 thread)", "latency_input": "1x128x128",
            "peak_memory_mb": (40 + params / 1e5 * np.exp(rng.normal(0, 0.3, cells)))[cell], "best_epoch": epochs,
            "epochs": epochs, "train_seconds": 60.0, "val_dice": quality[cell], "val_iou": quality[cell],
            "val_miou": quality[cell], "error": None, "label": [f"width={8 * (1 + c % 16)}, n={c}" for c in cell],
            "configuration": [f"{family[c]} width={8 * (1 + c % 16)} stages=5 upsampling=bilinear n={c}" for c in cell],
        }
    )  # fmt: skip
    rows = [
        {"key": key, "cell": key, "space": "", "data": "slices", "model": name, "seed": 0, "state": "trivial"}
        | {"params": 0.0, "macs": 0.0, "label": name.replace("_", " "), "configuration": name}
        for key, name in zip(trivial_keys, ("all_foreground", "mean_mask", "all_background"), strict=True)
    ]
    frame = pd.concat([frame, pd.DataFrame(rows)], ignore_index=True)
    frame = frame.merge(scores_by_trial(table), how="left", left_on="key", right_index=True)
    rise = 1 - np.exp(-np.arange(1, epochs + 1) / 5)
    curve = quality[cell, None] * rise + rng.normal(0, 0.01, (trials, epochs))
    log = pd.DataFrame({"key": np.repeat(keys, epochs), "epoch": np.tile(np.arange(1, epochs + 1), trials)})
    log = log.assign(train_loss=1 - curve.ravel(), val_loss=1 - curve.ravel(), seconds=1.0, images_per_second=100.0)
    log = log.assign(**{f"val_{name}": curve.ravel() for name in ("dice", "iou", "miou")})
    return Frames(frame, log, table)


def run_of(frames: Frames, design: str) -> Run:
    """The run that would have made the tables: every cell by its levels."""
    trained = frames.trials[frames.trials["state"] == "complete"]
    levels = trained[[f"factor.{name}" for name in _FACTORS]].to_numpy()
    trials = {key: dict(zip(_FACTORS, row, strict=True)) for key, row in zip(trained["key"], levels, strict=True)}
    factors = {name: [str(level) for level in range(10)] for name in _FACTORS}
    return Run(
        space="synthetic", question="", profile="standard", design=design, factors=factors, definition={}, trials=trials
    )


@contextmanager
def timed(name: str, times: dict[str, float]) -> Iterator[None]:
    began = time.perf_counter()
    yield
    times[name] = time.perf_counter() - began
    print(f"{name:<58}{times[name]:8.2f} s   peak {_peak_mb():6.0f} MB", flush=True)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--images", type=int, default=30)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--design", default="grid", help="of the space, for the effects: grid or random")
    parser.add_argument("--without-optuna", action="store_true", help="leave out the comparison")
    parser.add_argument("--report", type=Path, help="keep the report here, to open it in a browser")
    options = parser.parse_args()

    import optuna

    from ablate.analysis.effects import effects
    from ablate.analysis.figures.hypervolume import spent
    from ablate.analysis.figures.pareto import pareto_figure
    from ablate.analysis.pareto import cells, fronts, hypervolume, nondominated, ranks
    from ablate.analysis.report.report import About, Evidence, figure_page, render
    from ablate.analysis.scores import cell_scores
    from ablate.analysis.significance import mean_interval
    from ablate.analysis.uncertainty import uncertain_fronts
    from ablate.metrics.counts import METRICS

    times: dict[str, float] = {}
    trials = options.cells * options.seeds
    print(f"{options.cells:,} cells, {options.seeds} seeds: {trials:,} trials of {options.images} images")
    with timed("making the tables (not counted)", times):
        frames = tables(options.cells, options.seeds, options.images, options.epochs)
    with timed("trial scores from image counts (frames)", times):
        scores_by_trial(frames.images)
    with timed("cells", times):
        cells(frames.trials)
    with timed("cell scores, three metrics", times):
        scores = {metric: cell_scores(frames, metric) for metric in METRICS}
    with timed("intervals of all cells, three metrics", times):
        intervals = {
            metric: {cell: mean_interval(one) for cell, one in found.items()} for metric, found in scores.items()
        }
    with timed("fronts and hypervolumes, all axes", times):
        records = fronts(frames.trials)
    with timed(f"{len(records)} uncertain fronts, {options.resamples:,} resamples", times):
        uncertain = uncertain_fronts(records, scores, resamples=options.resamples)
    with timed("hypervolume against epochs", times):
        bought = spent(frames)
    with timed(f"effects, design {options.design}", times):
        found = effects(frames, [run_of(frames, options.design)], "dice")
    with timed("Pareto figure and its page", times):
        page = figure_page({"front": pareto_figure(records, uncertain, intervals)}, "Front")
    with timed("report", times):
        proof = Evidence(intervals=intervals, uncertain={"slices": uncertain}, effects=found, spent=bought)
        report = render(frames, About("Scale", "", ("standard",), {}), (), proof)
    analysed = sum(seconds for name, seconds in times.items() if "not counted" not in name)
    print(f"{'all of it':<58}{analysed:8.2f} s   peak {_peak_mb():6.0f} MB")
    print(f"report: {len(report.encode()) / 1e6:.1f} MB of HTML, plotly.js included")
    if options.report:
        options.report.write_text(report)
    print(f"page of the front alone: {len(page.encode()) / 1e6:.1f} MB")

    points = np.random.default_rng(1).random((100_000, 2))
    with timed("front and hypervolume of 100,000 points, 2 objectives", times):
        nondominated(points, (False, True))
        hypervolume(points, (1.1, 0.0), (False, True))
    points = np.random.default_rng(1).random((100_000, 3))
    with timed("front and hypervolume of 100,000 points, 3 objectives", times):
        nondominated(points, (False, False, True))
        hypervolume(points, (1.1, 1.1, 0.0), (False, False, True))
    with timed("ranks of 10,000 points, 3 objectives", times):
        ranks(points[:10_000], (False, False, True))

    if not options.without_optuna:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        plane = [(point.x, point.y) for point in records[0].points]
        study = optuna.create_study(directions=["minimize", "maximize"])
        study.add_trials([optuna.trial.create_trial(values=list(values)) for values in plane])
        with timed("Optuna: study.best_trials", times):
            best = study.best_trials
        with timed("ours: the same front", times):
            ours = nondominated(np.array(plane), (False, True))
        assert len(best) == int(ours.sum()), (len(best), int(ours.sum()))
        with timed("Optuna: plot_pareto_front and its HTML", times):
            html = optuna.visualization.plot_pareto_front(study).to_html(include_plotlyjs=True)
        with timed("ours: one plane's figure and its page", times):
            ours_html = figure_page({"front": pareto_figure(records[:1])}, "Front")
        for theirs, mine in (
            ("Optuna: study.best_trials", "ours: the same front"),
            ("Optuna: plot_pareto_front and its HTML", "ours: one plane's figure and its page"),
        ):
            print(f"{theirs} / {mine}: {times[theirs] / times[mine]:.1f}")
        print(f"HTML: Optuna {len(html.encode()) / 1e6:.1f} MB, ours {len(ours_html.encode()) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
