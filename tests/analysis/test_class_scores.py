"""Scores of single classes, distances, and what empty masks count: from trained trials to every output."""

from __future__ import annotations

import io
import itertools
import json
import signal

import numpy as np
import pandas as pd
import pytest
import torch
from made_studies import Trained, packed, run_of, trivial

from ablate.analysis.by_seed import remarks
from ablate.analysis.claims.evaluate import evaluate
from ablate.analysis.claims.schema import Claim
from ablate.analysis.compare import compare
from ablate.analysis.effects import effects
from ablate.analysis.frames import Frames, load, scored
from ablate.analysis.pareto import cells, front, pareto
from ablate.analysis.report.study_report import study_report
from ablate.analysis.scores import cell_scores
from ablate.analysis.scoring import metric_asked
from ablate.analysis.tables import results_table
from ablate.analysis.typeset import comma_separated, latex, markdown
from ablate.analysis.uncertainty import uncertain_fronts
from ablate.data.dataset import Dataset, assemble
from ablate.data.settings import Folder, Split
from ablate.data.source import Sample
from ablate.errors import InputError
from ablate.metrics.boundary import ASSD, HD95, NSD
from ablate.metrics.counts import METRICS
from ablate.models.settings import UNet
from ablate.part import Part
from ablate.runners.cli.main import main
from ablate.study.runs import DataRecord
from ablate.study.study import Study
from ablate.study.verify import verify
from ablate.training.loop import train
from ablate.trial import Protocol, TrialConfig

NAMES = ("background", "liver", "left kidney", "spleen")
OWN, SIZE, SPACING = (24, 20), (16, 16), (1.5, 0.5)
SCALED = (1.5 * 24 / 16, 0.5 * 20 / 16)


def dataset() -> Dataset:
    """Twelve images of a liver, half of which have a kidney, and none a spleen."""
    rng = np.random.default_rng(0)
    samples = []
    for at in range(12):
        mask = np.zeros(OWN, dtype=np.uint8)
        top, left = rng.integers(0, 10, 2)
        mask[top : top + 9, left : left + 8] = 1
        if at % 2:
            mask[18:23, 2:9] = 2
        image = (mask * 90 + rng.integers(0, 60, OWN)).astype(np.uint8)
        samples.append(Sample(f"image {at:02}", f"case {at:02}", image, mask, spacing=SPACING))
    return assemble(samples, Folder(size=SIZE, n_classes=4))


@pytest.fixture(scope="module")
def trials() -> list[Trained]:
    torch.set_num_threads(1)
    data, made = dataset(), []
    protocol = Protocol(epochs=8, augment=(), learning_rate=2e-2, batch_size=2, select="hd95", split=Split(test=0.34))
    for width, seed in itertools.product((4, 8), (0, 1)):
        trial = TrialConfig(
            model=UNet(width=width, stages=2), data=data.config, protocol=protocol, seed=seed,
            metrics=(HD95(), ASSD(), NSD(tolerance=2)),
        )  # fmt: skip
        made.append(Trained(trial, data, train(trial, data, device=torch.device("cpu"))))
    return [*made, *trivial(made[0])]


@pytest.fixture(scope="module")
def study(trials, tmp_path_factory) -> Study:
    levels = {t.trial.key: {"model.width": str(t.trial.model.width)} for t in trials if not t.trial.is_trivial}
    names = {trials[0].dataset.config.fingerprint: DataRecord(class_names=list(NAMES))}
    widths = {"factors": {"model.width": ["4", "8"]}, "trials": levels, "data": names}
    study = Study.open_or_new(tmp_path_factory.mktemp("classes") / "study")
    with study.writing():
        study.plan(run_of().model_copy(update=widths), threads=1, data_dir=None)
        for one in trials:
            study.accept(one.trial.key, packed(one))
    return study


@pytest.fixture(scope="module")
def frames(study) -> Frames:
    return load(study)


def networks(trials: list[Trained]) -> list[Trained]:
    return [one for one in trials if not one.trial.is_trivial]


# What is kept ---------------------------------------------------------------------------------------------------------


def test_distances_are_kept_in_millimetres_as_monai_measures_the_saved_predictions(trials, frames):
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice

    assert [name for name in frames.images if name.startswith("metric.")] == [
        "metric.assd_mm", "metric.hd95_mm", "metric.nsd_at_2mm",
    ]  # fmt: skip
    compared = 0
    for one in trials:
        masks = one.dataset.masks[list(one.dataset.split(one.trial.protocol.split).test)]
        pair = [
            torch.from_numpy(np.stack([m == c for c in range(4)], 1)).float() for m in (one.result.predictions, masks)
        ]
        both = (pair[0].flatten(2).any(2) & pair[1].flatten(2).any(2)).numpy()
        how = {"include_background": True, "spacing": list(SCALED)}
        expected = {
            "hd95_mm": compute_hausdorff_distance(*pair, percentile=95, **how),
            "assd_mm": compute_average_surface_distance(*pair, symmetric=True, **how),
            "nsd_at_2mm": compute_surface_dice(*pair, [2.0] * 4, **how),
        }
        rows = frames.images[frames.images["key"] == one.trial.key]
        for name, values in expected.items():
            found = rows[f"metric.{name}"].to_numpy().reshape(both.shape)
            np.testing.assert_allclose(found[both], values.numpy()[both], rtol=1e-5)
            compared += both.sum()
    assert compared > 50


def test_the_study_is_whole_and_distances_that_cannot_be_are_found(trials, study, tmp_path):
    from ablate.study.tables import read_table

    assert verify(study) == []
    key = trials[0].trial.key
    table = pd.read_parquet(study.path / "trials" / key / "images.parquet")
    assert (table["metric.hd95_mm"] > 1).any()
    for bad in (-1.0, np.inf, 1e12):
        with pytest.raises(ValueError, match=r"its metric.hd95_mm are not all distances"):
            read_table(table.assign(**{"metric.hd95_mm": bad}).to_parquet(index=False), "images", key)
    with pytest.raises(ValueError, match=r"its metric.nsd_at_2mm are not all between 0 and 1"):
        read_table(table.assign(**{"metric.nsd_at_2mm": 1.5}).to_parquet(index=False), "images", key)


def test_the_best_epoch_is_the_one_with_the_smallest_distance(trials):
    """Of any two trainings that differ in nothing but the epochs, no earlier epoch was nearer."""
    from ablate.metrics.base import measure
    from ablate.models.build import build_model
    from ablate.training.inference import predict

    one = networks(trials)[0]
    val = list(one.dataset.split(one.trial.protocol.split).val)
    distances = []
    for epochs in range(1, 9):
        trial = one.trial.model_copy(
            update={"protocol": one.trial.protocol.model_copy(update={"epochs": epochs, "select": "hd95"})}
        )
        result = train(trial, one.dataset, device=torch.device("cpu"))
        model = build_model(trial.model, 1, 4, SIZE)
        model.load_state_dict(result.weights)
        predicted = predict(model, one.dataset.images[val], 4, torch.device("cpu"), ())
        found = measure("x", HD95().build(), predicted, one.dataset.masks[val], 4, [SCALED] * len(val))
        distances.append(np.nan_to_num(found[:, 1:]).mean())
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < distances[0]


# Classes --------------------------------------------------------------------------------------------------------------


def dice_of(rows: pd.DataFrame, of_class: int) -> np.ndarray:
    own = rows[rows["class"] == of_class]
    whole = 2 * own["tp"] + own["fp"] + own["fn"]
    return np.where(whole > 0, 2 * own["tp"] / whole.where(whole > 0, 1), 1.0)


def test_a_class_that_no_mask_has_is_in_no_mean_and_that_is_said(frames):
    for _, trial in frames.trials.iterrows():
        rows = frames.images[frames.images["key"] == trial["key"]]
        expected = np.mean([dice_of(rows, 1), dice_of(rows, 2)])  # and not 3
        assert trial["dice"] == pytest.approx(expected)
    everything = frames.trials.set_index("model")["dice"]
    kidneys = frames.images[(frames.images["class"] == 2)]
    without = float((kidneys["tp"] + kidneys["fn"] == 0).mean())  # each of them scores 1 in that class, of the two
    assert everything["all_background"] == pytest.approx(without / 2)
    assert remarks(frames)[0] == "No test mask has class spleen: left out of means over classes."


def test_a_class_is_asked_for_by_name_or_number(frames):
    assert metric_asked(frames, "dice", "liver") == metric_asked(frames, "dice", "1") == "dice.liver"
    assert metric_asked(frames, "hd95", "left kidney") == "hd95_mm.left kidney"
    assert metric_asked(frames, "nsd") == "nsd_at_2mm"
    assert metric_asked(frames, "dice.2") == "dice.left kidney"
    with pytest.raises(InputError, match="unknown class 'livr': did you mean 'liver'"):
        metric_asked(frames, "dice", "livr")
    with pytest.raises(InputError, match="unknown class '4'"):
        metric_asked(frames, "dice", "4")
    with pytest.raises(InputError, match="unknown metric 'hd59': did you mean 'hd95_mm'"):
        metric_asked(frames, "hd59")
    with pytest.raises(InputError, match="no test mask has class spleen"):
        scored(frames, [metric_asked(frames, "dice", "spleen")])


@pytest.mark.parametrize(
    ("metric", "of"),
    [
        ("dice.liver", lambda tp, fp, fn, tn: 2 * tp / (2 * tp + fp + fn)),
        ("miou.liver", lambda tp, fp, fn, tn: tp / (tp + fp + fn)),
        ("sensitivity.liver", lambda tp, fp, fn, tn: tp / (tp + fn)),
        ("precision.liver", lambda tp, fp, fn, tn: tp / np.maximum(tp + fp, 1)),
        ("specificity.liver", lambda tp, fp, fn, tn: tn / (tn + fp)),
    ],
)
def test_the_score_of_a_class_is_that_of_its_counts(frames, metric, of):
    known = scored(frames, [metric])
    for key, trial in known.trials.set_index("key").iterrows():
        own = frames.images[(frames.images["key"] == key) & (frames.images["class"] == 1)]  # each has a liver
        assert trial[metric] == pytest.approx(of(*(own[name].to_numpy() for name in ("tp", "fp", "fn", "tn"))).mean())


# Where less is better -------------------------------------------------------------------------------------------------


def test_a_front_of_distances_has_what_none_beats(frames):
    found = pareto(frames.trials, "params", "hd95_mm")
    rows = [(cell.params, cell.score("hd95_mm").mean, cell.id) for cell in cells(frames.trials) if not cell.trivial]
    best = {
        cell
        for cost, far, cell in rows
        if not any(c <= cost and f <= far and (c, f) != (cost, far) for c, f, _ in rows)
    }
    assert set(found.front) == best
    bar = min(cell.score("hd95_mm").mean for cell in cells(frames.trials) if cell.trivial)
    assert found.reference[1] == bar
    assert [row.y for row in found.trivial] == sorted(row.y for row in found.trivial)
    again = front(frames.trials, ("hd95_mm", "params"))
    assert set(again.front) == best
    assert again.reference[0] == bar
    assert again.hypervolume == pytest.approx(found.hypervolume)
    area, best_so_far = 0.0, bar
    for (cost, far, _), following in zip(
        sorted(rows), [*(r[0] for r in sorted(rows)[1:]), found.reference[0]], strict=True
    ):
        best_so_far = min(best_so_far, far)
        area += (following - cost) * (bar - best_so_far)
    assert found.hypervolume == pytest.approx(area)


def test_a_band_of_distances_falls_with_the_cost_and_holds_the_front(frames):
    found = pareto(frames.trials, "params", "hd95_mm")
    [sure] = uncertain_fronts([found], {"hd95_mm": cell_scores(frames, "hd95_mm")}, resamples=200)
    assert all(low <= high for low, high in zip(sure.band.low, sure.band.high, strict=True))
    for line in (sure.band.low, sure.band.median, sure.band.high):
        assert list(line) == sorted(line, reverse=True)
    assert min(sure.band.low) >= 0
    for point in found.points:
        if point.on_front:
            at = sure.band.costs.index(point.x)
            assert sure.band.low[at] <= point.y <= sure.band.high[at]
            assert point.y > 1
    assert sure.hypervolume.low <= found.hypervolume <= sure.hypervolume.high
    assert sum(sure.probability.values()) >= 1


def test_the_nearest_is_the_best_in_a_table(frames):
    found = results_table(frames, ["hd95_mm", "dice"])
    rows = [row for row in found.sections[0].rows if not row.trivial]
    scores = {row.cell: row.scores["hd95_mm"].interval.estimate for row in rows}
    assert [row.scores["hd95_mm"].best for row in rows] == [scores[row.cell] == min(scores.values()) for row in rows]
    last = [row.scores["hd95_mm"].interval.estimate for row in found.sections[0].rows if row.trivial]
    assert last == sorted(last)
    assert "HD95 (mm) ↓" in markdown(found)
    assert r"HD95 (mm) $\downarrow$" in latex(found)
    assert "↓: the smaller is the better." in found.details


def judged(frames: Frames, subject: str, rival: str, **hypothesis: object) -> object:
    claim = Claim(
        name="c", statement="s", subject={"cell": subject}, against=[{"cell": rival}], hypotheses=[hypothesis]
    )
    return evaluate(claim, frames)[0].verdicts[0]


def made_nearer(frames: Frames, cell: str, by: float) -> Frames:
    """As if this cell's boundaries were nearer by as much on every image."""
    keys = set(frames.trials.loc[frames.trials["cell"] == cell, "key"])
    other = set(frames.trials.loc[frames.trials["state"] == "complete", "key"]) - keys
    base = frames.images[frames.images["key"].isin(other)].groupby(["image", "class"])["metric.hd95_mm"].first()
    images = frames.images.copy()
    rng = np.random.default_rng(0)
    for at, row in images[images["key"].isin(keys | other)].iterrows():
        value = base[row["image"], row["class"]] + 20 + rng.normal(0, 0.01)
        images.loc[at, "metric.hd95_mm"] = value - by * (row["key"] in keys)
    return scored(frames._replace(images=images), ["sensitivity"])


@pytest.mark.parametrize("by", [3.0, -3.0])
def test_better_is_nearer_in_claims(frames, by):
    one, other = dict.fromkeys(frames.trials.loc[frames.trials["state"] == "complete", "cell"])
    known = made_nearer(frames, one, by)
    better, worse = ("supported", "refuted") if by > 0 else ("refuted", "supported")
    asked = {"metric": "hd95", "class": "liver"}
    found = judged(known, one, other, kind="superior", **asked)
    assert found.outcome == better
    assert found.estimate == pytest.approx(-by, abs=0.1)
    assert "HD95 (mm) of liver" in found.sentence
    assert judged(known, other, one, kind="superior", **asked).outcome == worse
    # Of these trainings of an epoch or two: none lost, and what so few images can show.
    asked |= {"kind": "non_inferior", "failures": {"below": 0.001, "tolerance": 0.9}}
    assert judged(known, one, other, margin=1.0, **asked).outcome == better
    assert judged(known, one, other, margin=4.0, **asked).outcome == "supported"
    assert judged(known, other, one, margin=4.0, **asked).outcome == "supported"
    difference = next(
        effect.difference
        for effect in effects(known, [run_of().model_copy(update=_widths(known))], "hd95_mm.liver").effects
    )
    assert difference.gain == -difference.interval.estimate


def _widths(frames: Frames) -> dict:
    rows = frames.trials[frames.trials["state"] == "complete"]
    levels = {
        key: {"model.width": "4" if "width=4" in text else "8"}
        for key, text in zip(rows["key"], rows["configuration"], strict=True)
    }
    return {"factors": {"model.width": ["4", "8"]}, "trials": levels}


def test_a_margin_is_below_1_of_what_is_from_0_to_1(frames):
    one, other = dict.fromkeys(frames.trials.loc[frames.trials["state"] == "complete", "cell"])
    with pytest.raises(InputError, match=r"claim c: dice is from 0 to 1, and its margin 2: expected less than 1"):
        judged(frames, one, other, kind="non_inferior", metric="dice", margin=2)


# Outputs --------------------------------------------------------------------------------------------------------------


def call(*arguments: object, monkeypatch, capsys) -> tuple[int, str, str]:
    interrupts = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr("sys.argv", ["ablate", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    signal.signal(signal.SIGINT, interrupts)
    said = capsys.readouterr()
    return int(end.value.code or 0), said.out, said.err


@pytest.mark.parametrize(
    "more", [("--class", "liver"), ("--class", "1"), ("--empty", "skip"), ("--class", "2", "--empty", "zero")]
)
@pytest.mark.parametrize(
    "command",
    [("pareto", "--y", "hd95"), ("effects", "--metric", "specificity"), ("table", "--metrics", "dice,hd95,nsd")],
)
def test_commands_take_a_class_and_a_choice(study, command, more, monkeypatch, capsys):
    name, *options = command
    code, out, err = call(name, study.path, *options, *more, monkeypatch=monkeypatch, capsys=capsys)
    assert (code, err) == (0, "")
    words = " ".join(out.split())
    if "liver" in more or "1" in more:
        assert "of liver" in words
    choice = more[-1] if "--empty" in more else "one"
    assert f"--empty {choice}" in words
    assert "3 of 6 test images have no pixel of class left kidney" in words or "of class left kidney" in words
    assert "No test mask has class spleen" in words


def test_an_unknown_class_is_one_line(study, monkeypatch, capsys):
    code, out, err = call("pareto", study.path, "--class", "lung", monkeypatch=monkeypatch, capsys=capsys)
    assert (code, out) == (2, "")
    assert len(err.strip().splitlines()) == 1
    assert "unknown class 'lung'" in err


def test_tables_have_a_column_a_class_beside_the_mean(study, monkeypatch, capsys):
    code, out, _ = call("table", study.path, "--format", "csv", monkeypatch=monkeypatch, capsys=capsys)
    assert code == 0
    columns = list(pd.read_csv(io.StringIO(out)).columns)
    assert [c for c in columns if c in ("dice", "dice.liver", "dice.left kidney", "miou", "dice.spleen")] == [
        "dice", "dice.liver", "dice.left kidney", "miou",
    ]  # fmt: skip
    code, out, _ = call(
        "export", study.path, "--table", "trials", "--format", "json", "--metrics", "precision", "--class", "liver",
        monkeypatch=monkeypatch, capsys=capsys,
    )  # fmt: skip
    assert code == 0
    for row in json.loads(out):
        assert {"dice.liver", "dice.left kidney", "precision.liver", "hd95_mm"} <= row.keys()
        assert row["dice"] == pytest.approx((row["dice.liver"] + row["dice.left kidney"]) / 2)


def test_the_report_has_every_class_and_says_its_choices(study, frames):
    page = study_report(study, frames)
    for said in ("Dice of liver", "Dice of left kidney", "HD95 (mm) ↓", "No test mask has class spleen"):
        assert said in page
    assert "Dice of spleen" not in page
    assert "are both empty scores 1." in page
    assert "are both empty is left out." in study_report(study, scored(frames, empty="skip"))


def test_names_that_are_tags_are_not_shown(trials, tmp_path):
    names = ["background", "<b>liver</b>", "ok", "ok"]
    record = {trials[0].dataset.config.fingerprint: DataRecord(class_names=names)}
    study = Study.open_or_new(tmp_path / "study")
    with study.writing():
        study.plan(run_of(trials[0].trial).model_copy(update={"data": record}), threads=1, data_dir=None)
        study.accept(trials[0].trial.key, packed(trials[0]))
    frames = load(study)
    assert frames.scoring.classes(frames.images) == ["1", "2"]
    printed = comma_separated(results_table(scored(frames, ["dice.1"]), ["dice.1"]))
    assert "dice.1" in list(pd.read_csv(io.StringIO(printed)))


# Several data sets ----------------------------------------------------------------------------------------------------


def other_data(frames: Frames, name: str, classes: tuple[str, ...], far: dict[str, float]) -> Frames:
    """The same tables as of another data set, with distances by network."""
    cells_of = dict(zip(frames.trials["key"], frames.trials["cell"], strict=True))
    images = frames.images.copy()
    images["metric.hd95_mm"] = [far.get(cells_of[key], 50.0) for key in images["key"]]
    tasks = dict.fromkeys(frames.trials["key"], name)
    scoring = frames.scoring._replace(tasks=tasks, names={name: classes}, absent={name: frozenset({3})})
    known = frames._replace(trials=frames.trials.assign(data=name), images=images, scoring=scoring)
    return scored(known, ["sensitivity"])


def test_ranks_go_by_the_nearest(frames):
    one, other = dict.fromkeys(frames.trials.loc[frames.trials["state"] == "complete", "cell"])
    studies = {
        name: other_data(frames, name, NAMES, {one: 3.0 + at, other: 9.0 - at}) for at, name in enumerate(("a", "b"))
    }
    found = compare(studies, "hd95_mm")
    assert [network.entries[0].cell for network in found.networks if not network.trivial] == [one, other]
    assert [network.mean_rank for network in found.networks if not network.trivial] == [1.0, 2.0]


def test_a_class_is_looked_for_by_name_in_each_data_set(frames):
    """The same name may be another number elsewhere."""
    turned = other_data(frames, "turned", ("background", "left kidney", "liver", "spleen"), {})
    both = frames._replace(
        trials=pd.concat(
            [frames.trials, turned.trials.assign(key=turned.trials["key"] + "x", cell=turned.trials["cell"] + "x")]
        ),
        images=pd.concat([frames.images, turned.images.assign(key=turned.images["key"] + "x")]),
        scoring=frames.scoring._replace(
            tasks=frames.scoring.tasks | {f"{key}x": "turned" for key in turned.trials["key"]},
            names=frames.scoring.names | turned.scoring.names,
        ),
    )
    assert metric_asked(both, "dice", "liver") == "dice.liver"
    assert metric_asked(both, "dice", "1") == "dice.1"  # which is called differently
    known = scored(both, ["dice.liver"]).trials.set_index("key")["dice.liver"]
    for key in frames.trials["key"]:
        rows = frames.images[frames.images["key"] == key]
        assert known[key] == pytest.approx(dice_of(rows, 1).mean())
        assert known[f"{key}x"] == pytest.approx(dice_of(rows, 2).mean())


def test_a_claim_can_be_narrowed_to_a_class():
    claim = Claim(
        name="c", statement="s", subject={"model": "unet"}, empty="zero",
        hypotheses=[
            {"kind": "superior", "metric": "dice"},
            {"kind": "superior", "metric": "dice", "class": 2},
            {"kind": "fewest", "cost": "params"},
        ],
    )  # fmt: skip
    narrowed = claim.about("liver", "skip")
    assert [getattr(one, "metric", "") for one in narrowed.hypotheses] == ["dice.liver", "dice.2", ""]
    assert narrowed.empty == "skip"
    assert claim.about() == claim


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("hd95_mm", "HD95 (mm)"),
        ("hd95_2_px", "hd95_2 (px)"),
        ("nsd_at_1_5mm", "NSD at 1.5 mm"),
        ("assd_px.left kidney", "ASSD (px) of left kidney"),
        ("miou.2", "IoU of class 2"),
        ("sensitivity", "Sensitivity"),
        ("my_metric", "my_metric"),
    ],
)
def test_a_metric_says_what_it_is(name, label):
    assert METRICS[name].label == label
    assert METRICS[name].heading == (f"{label} ↓" if name.partition(".")[0][-3:] in ("_mm", "_px") else label)


def test_a_label_that_says_a_unit_is_numbered():
    """What a stranger's metric is called does not make it a distance."""
    data = dataset().config
    named = TrialConfig(
        model=UNet(width=4, stages=2),
        data=data,
        metrics=(Part({"name": "mine:score_mm"}), Part({"name": "mine:at_2px"})),
    )
    assert named.metric_labels == ("score_mm_1", "at_2px")
