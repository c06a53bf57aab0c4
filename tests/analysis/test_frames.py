"""Tables: made elsewhere they are checked and completed, and their scores follow from the images."""

import math

import pandas as pd
import pytest

from ablate.analysis.frames import from_tables
from ablate.analysis.pareto import pareto
from ablate.analysis.scores import cell_scores
from ablate.errors import InputError
from ablate.study.tables import IMAGE_COLUMNS, TRIAL_COLUMNS


def trials(**changes: object) -> pd.DataFrame:
    columns = {"key": ["a0", "b0"], "cell": ["a", "b"], "seed": [0, 0], "model": ["net", "net"]}
    return pd.DataFrame(columns | {"params": [10, 20], "macs": [1, 2]} | changes)


def images() -> pd.DataFrame:
    rows = [
        *[("a0", "x", 0, 50, 10, 10, 30), ("a0", "x", 1, 30, 10, 10, 50)],
        *[("b0", "x", 0, 60, 0, 0, 40), ("b0", "x", 1, 40, 0, 0, 60)],
    ]
    return pd.DataFrame(rows, columns=list(IMAGE_COLUMNS))


def test_tables_made_elsewhere_are_completed_and_scored_from_their_images():
    frames = from_tables(trials(dice=[0.1, 0.1]), images())
    assert tuple(frames.trials.columns) == TRIAL_COLUMNS
    assert frames.trials["dice"].tolist() == [60 / 80, 1.0]
    assert frames.trials["iou"].tolist() == [30 / 50, 1.0]
    assert frames.trials["miou"].tolist() == pytest.approx([(50 / 70 + 30 / 50) / 2, 1.0])
    assert frames.trials["label"].tolist() == ["net (a)", "net (b)"]
    assert pareto(frames.trials, "params", "dice").front == ("a", "b")
    assert cell_scores(frames, "dice")["a"].values.tolist() == [[0.75]]


@pytest.mark.parametrize(
    ("bad_trials", "bad_images", "message"),
    [
        (trials().drop(columns=["cell", "macs"]), images(), "table trials lacks cell, macs: expected key, cell"),
        (trials(), images().drop(columns="fn"), "table images lacks fn"),
        (trials(params=[10, None]), images(), "table trials has no params in row 1"),
        (trials(), images().assign(tp=[1, 2, None, 3]), "table images has no tp in row 2"),
        (trials(), images().assign(fp=[1, -1, 0, 0]), "table images has fp -1 in row 1: expected a number from 0 to"),
        (trials(macs=["many", 2]), images(), "table trials has macs 'many' in row 0: expected a number from 0 to"),
        (trials(key=["a0", "a0"]), images(), "table trials repeats key in row 1"),
        (trials(), pd.concat([images(), images().iloc[:1]]), "table images repeats key, image, class in row 4"),
        (trials().iloc[:1], images(), "table images has key 'b0', which table trials has not"),
        (trials(params=[10, math.inf]), images(), "table trials has params inf in row 1"),
        (
            trials(macs=[1, 10**300]),
            images(),
            "table trials has macs 1000.* in row 1: expected a number",
        ),
        (trials(params=[True, False]), images(), "table trials has params True in row 0"),
        (trials(params=["10", "20"]), images(), "table trials has params '10' in row 0"),
        (trials(params=[1.5, 2.0]), images(), "table trials has params 1.5 in row 0: expected a whole number"),
        (trials(key=["a0", ["b0"]]), images(), r"table trials has key \['b0'\] in row 1: expected text"),
        (
            trials(key=["a0", "x" * 100_000]),
            images(),
            "table trials has key 'xxx.*' in row 1: expected text",
        ),
        (trials(state="done"), images(), "table trials has state 'done': expected one of complete, failed"),
        (trials(), images().assign(tn=2**60), "table images has tn 1152.* in row 0"),
    ],
)
def test_unfit_tables_are_one_clear_line(bad_trials, bad_images, message):
    with pytest.raises(InputError, match=message) as error:
        from_tables(bad_trials, bad_images)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


def test_keys_may_be_numbers_and_what_is_not_known_is_not_a_number() -> None:
    numbered = images().assign(key=lambda table: table["key"].map({"a0": 1.0, "b0": 2.0}))
    curves = pd.DataFrame({"key": [1, 1], "epoch": [0, 1], "val_dice": [math.inf, 0.5], "seconds": [-1, 2]})
    measured = {"latency_ms": [math.inf, 3.0], "val_dice": [1e9, 0.7]}
    frames = from_tables(trials(key=[1, 2], **measured), numbered, curves)
    assert frames.trials["key"].tolist() == ["1", "2"]
    assert frames.images["key"].unique().tolist() == ["1", "2"]
    assert frames.trials["dice"].tolist() == [60 / 80, 1.0]
    assert frames.trials["latency_ms"].isna().tolist() == [True, False]
    assert frames.trials["val_dice"].isna().tolist() == [True, False]
    assert frames.epochs[["val_dice", "seconds"]].isna().to_numpy().tolist() == [[True, True], [False, False]]
