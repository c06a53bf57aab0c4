"""What files cost and find in runtimes: on fronts, in claims and in tables, and what is said where it is not known."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from made_studies import Trained, made_study, trained, trivial

from ablate.analysis.by_runtime import check_scored, scored_in
from ablate.analysis.by_seed import remarks
from ablate.analysis.claims.evaluate import evaluate
from ablate.analysis.claims.registered import canonical, digest
from ablate.analysis.claims.schema import Claim, load_claim
from ablate.analysis.deployed import caption_words, doubted_files, file_words
from ablate.analysis.frames import Frames, from_tables, load
from ablate.analysis.pareto import front, fronts, pareto
from ablate.analysis.tables import results_table
from ablate.analysis.typeset import comma_separated, markdown
from ablate.cost.measured import Measured
from ablate.errors import InputError
from ablate.metrics.counts import dice
from ablate.models.settings import UNet
from ablate.study.in_runtimes import Finds, InRuntime, keep_images, keep_in_runtimes, read_runtimes
from ablate.study.study import Study
from ablate.study.trial_folder import image_table
from ablate.trial import TrialConfig

WIDE = UNet(width=6, stages=2)


def taken(**changes: object) -> Measured:
    fields = {"latency_ms": 10.0, "latency_iqr_ms": 1.0, "peak_memory_mb": 50.0, "device": "cpu (X, 1 thread)"}
    fields |= {"threads": 1, "channels": 1, "size": (16, 16), "repeats": 5, "precision": "int8", "load": 0.1}
    return Measured(**(fields | {"versions": {"onnxruntime": "1.32.0"}} | changes))  # type: ignore[arg-type]


def finds(study: Study, one: Trained, runtime: str, *, nothing: bool) -> Finds:
    """Kept as what a file of this trial finds: its network's masks, or no foreground at all."""
    own = np.array(one.result.counts)
    counts = own.copy()
    if nothing:
        foreground, pixels = own[:, 1, 0] + own[:, 1, 2], own[:, 1].sum(axis=-1)
        zero = np.zeros_like(foreground)
        counts[:, 1] = np.stack([zero, zero, foreground, pixels - foreground], axis=-1)
        counts[:, 0] = np.stack([pixels - foreground, foreground, zero, zero], axis=-1)
    table = image_table(one.trial.key, one.result._replace(counts=counts))
    kept = keep_images(study.path, runtime, one.trial.key, table)
    found, network = (float(dice(*of[:, 1, :3].T).mean()) for of in (counts, own))
    return Finds(sha256=kept, images=2, difference=0.1, pixels=512, others=5, dice=found, network_dice=network)


@pytest.fixture(scope="module")
def pair() -> tuple[Trained, Trained]:
    """Two networks with the same masks; the second is wider."""
    one = trained()
    trial = TrialConfig(model=WIDE, data=one.trial.data, protocol=one.trial.protocol, seed=0)
    return one, Trained(trial, one.dataset, one.result)


@pytest.fixture
def study(pair, tmp_path) -> Study:
    """In ONNX both are measured; in int8 the second has no file, and the first finds nothing."""
    one, other = pair
    made = made_study(tmp_path / "study", one, other, *trivial(one))

    def known(which: Trained, runtime: str, latency: float, megabytes: float, *, nothing: bool = False) -> InRuntime:
        key = which.trial.key
        found = {key: finds(made, which, runtime, nothing=nothing)}
        return InRuntime(versions={}, measured=taken(latency_ms=latency), file_mb=megabytes, of=key, trials=found)

    without = InRuntime(versions={}, why_not="it has no form of the operation aten.eig")
    with made.writing():
        in_onnx, in_int8 = known(one, "onnx", 5, 8), known(one, "onnx-int8", 20, 2, nothing=True)
        found = {one.trial.cell: {"onnx": in_onnx, "onnx-int8": in_int8}}
        found[other.trial.cell] = {"onnx": known(other, "onnx", 7, 9), "onnx-int8": without}
        keep_in_runtimes(made.path, found)
    return Study.open(made.path)


def test_costs_of_files_are_columns_of_the_trials_after_those_of_the_network(study, pair):
    trials = load(study).trials.set_index("key")
    names = list(trials)
    assert names.index("peak_memory_mb") < names.index("latency_ms@onnx") < names.index("best_epoch")
    row, other = trials.loc[pair[0].trial.key], trials.loc[pair[1].trial.key]
    assert (row["latency_ms@onnx"], row["latency_ms@onnx-int8"], row["file_mb@onnx-int8"]) == (5, 20, 2)
    assert row["dice@onnx-int8"] == 0 < row["dice"]
    assert math.isnan(other["latency_ms@onnx-int8"])
    assert other["no_file@onnx-int8"] == "it has no form of the operation aten.eig"
    assert row["latency_device@onnx"] == "cpu (X, 1 thread), onnxruntime 1.32.0"


def test_a_front_over_a_files_cost_says_whose_the_scores_are_and_what_has_no_file(study, pair):
    trials = load(study).trials
    found = pareto(trials, "latency_ms@onnx-int8", "dice")
    assert [(point.cell, point.x) for point in found.points] == [(pair[0].trial.cell, 20.0)]
    assert found.device == "cpu (X, 1 thread), onnxruntime 1.32.0, 1x16x16"
    whose, no_file = file_words(found)
    own = trials.set_index("key").at[pair[0].trial.key, "dice"]  # its file finds nothing: 0
    assert whose == (
        "Dice is of the networks' masks in PyTorch, not of their files' in ONNX int8 (whose Dice is off by "
        f"{own:.4f} at most): --runtime onnx-int8 takes those."
    )
    assert no_file.startswith("No file for ONNX int8 has ")
    assert no_file.endswith("it has no form of the operation aten.eig.")
    assert file_words(pareto(trials, "params", "dice")) == []
    [general, same] = caption_words(fronts(trials))
    assert general == (
        "Costs in ONNX and ONNX int8 are of the networks' files; scores are of the networks' own masks, in PyTorch."
    )
    assert same == no_file


def test_scores_in_a_runtime_are_of_the_masks_that_files_find_there(study, pair):
    plain = load(study)
    frames = scored_in(plain, study, "onnx-int8")
    trials, before = frames.trials.set_index("key"), plain.trials.set_index("key")
    assert trials.at[pair[0].trial.key, "dice"] == 0 < before.at[pair[0].trial.key, "dice"]
    assert math.isnan(trials.at[pair[1].trial.key, "dice"])
    bars = before.index[before["state"] == "trivial"]
    assert list(trials.loc[bars, "dice"]) == list(before.loc[bars, "dice"])
    found = pareto(frames.trials, "latency_ms@onnx-int8", "dice")
    assert [point.y for point in found.points] == [0.0]
    assert not any("PyTorch" in line for line in file_words(found))
    whose, lacks = remarks(frames)[:2]
    assert whose == "Scores are of the masks that the networks' files find in ONNX int8, not the networks in PyTorch."
    assert lacks.startswith("Without scores there: ")
    same = scored_in(plain, study, "onnx")
    assert np.array_equal(same.trials["dice"], plain.trials["dice"])
    assert len(remarks(same)) == len(remarks(frames)) - 1


def test_a_runtime_in_which_nothing_was_scored_is_an_error_with_the_command(pair, tmp_path):
    made = made_study(tmp_path / "study", pair[0])
    frames = scored_in(load(made), made, "onnx")
    with pytest.raises(InputError, match=r"scored in ONNX: run `ablate measure .*study --runtime onnx` first"):
        check_scored(frames, made.path)


def test_times_with_another_version_of_the_runtime_do_not_compare(study, pair):
    trial = pair[1].trial
    assert len(pareto(load(study).trials, "latency_ms@onnx", "dice").points) == 2
    newer = taken(latency_ms=1.0, versions={"onnxruntime": "2.0.0"})
    with study.writing():
        keep_in_runtimes(
            study.path, {trial.cell: {"onnx": InRuntime(versions={}, measured=newer, file_mb=9.0, of=trial.key)}}
        )
    trials = load(study).trials
    assert len(pareto(trials, "latency_ms@onnx", "dice").points) == 1
    assert len(pareto(trials, "file_mb@onnx", "dice").points) == 2  # a file is as large everywhere
    assert len(front(trials, ("latency_ms@onnx", "file_mb@onnx")).cells) == 1


def test_a_damaged_table_of_a_file_costs_itself_alone(study, pair):
    file = study.path / "runtimes" / "onnx" / f"{pair[0].trial.key}.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    trials = scored_in(load(study), study, "onnx").trials.set_index("key")
    assert math.isnan(trials.at[pair[0].trial.key, "dice"])
    assert not math.isnan(trials.at[pair[1].trial.key, "dice"])
    assert any("is not what was written" in fault for fault in study.faults.values())


def test_tables_have_latency_in_runtimes_and_csv_all_that_files_cost(study):
    table = results_table(load(study))
    assert "| Latency in ONNX (ms) | Latency in ONNX int8 (ms) |" in markdown(table).splitlines()[0]
    assert "ONNX: cpu (X, 1 thread), onnxruntime 1.32.0, 1x16x16" in " ".join(table.details)
    columns = comma_separated(table).splitlines()[0].split(",")
    assert columns[-3:] == ["latency_ms@onnx-int8", "peak_memory_mb@onnx-int8", "file_mb@onnx-int8"]


# Claims --------------------------------------------------------------------------------------------------------------


def asked(runtime: str | None, *hypotheses: dict[str, object]) -> Claim:
    fields = {"name": "x", "statement": "", "subject": {"width": 4}, "against": [{"width": 6}], "runtime": runtime}
    return Claim.model_validate(fields | {"hypotheses": list(hypotheses)})


def fewest(frames: Frames, cost: str) -> tuple[str, str]:
    [result] = evaluate(asked(None, {"kind": "fewest", "cost": cost}), frames)
    return result.verdicts[0].outcome, result.verdicts[0].sentence


def test_a_claim_is_judged_by_what_files_cost(study):
    outcome, sentence = fewest(load(study), "latency_ms@onnx")
    assert outcome == "supported"
    assert "lowest latency in ONNX of 2 networks: 5 ms, 0.71 times the 7 ms" in sentence
    outcome, sentence = fewest(load(study), "latency_ms@onnx-int8")
    assert outcome == "inconclusive"
    assert "has no file for ONNX int8: it has no form of the operation aten.eig" in sentence


def test_latencies_in_doubt_are_told_of_by_runtime_once_for_all_networks(study, pair):
    assert doubted_files(load(study).trials) == []
    key = pair[0].trial.key
    with study.writing():
        kept = read_runtimes(study.path)[pair[0].trial.cell]["onnx"]
        busy = kept.model_copy(update={"measured": taken(others=1.5)})
        keep_in_runtimes(study.path, {pair[0].trial.cell: {"onnx": busy}})
    trials = load(Study.open(study.path)).trials
    label = trials.set_index("key").at[key, "label"]
    [said] = doubted_files(trials, ["onnx"])
    assert doubted_files(trials) == [said]
    assert said.startswith(f"Latency in ONNX is in doubt of {label}, for the machine was busy")
    assert said.endswith("(`ablate measure STUDY --runtime onnx`).")
    assert doubted_files(trials, ["onnx-int8"]) == []


def test_a_cost_that_was_not_measured_is_inconclusive_with_the_command(pair, tmp_path):
    frames = load(made_study(tmp_path / "study", *pair))
    for cost, options in (("file_mb@onnx", " --runtime onnx"), ("latency_ms", "")):
        outcome, sentence = fewest(frames, cost)
        assert outcome == "inconclusive"
        assert sentence.endswith(f"Run `ablate measure STUDY{options}`.")


def test_a_claim_of_a_runtime_is_judged_by_the_masks_there(study):
    better = {"kind": "superior", "metric": "dice"}
    [result] = evaluate(asked("onnx", better), scored_in(load(study), study, "onnx"))
    assert result.verdicts[0].estimate == 0  # both files find the same masks
    [result] = evaluate(asked("onnx-int8", better), scored_in(load(study), study, "onnx-int8"))
    assert result.verdicts[0].outcome == "inconclusive"
    assert "no test score in ONNX int8: run `ablate measure STUDY --runtime onnx-int8`" in result.verdicts[0].sentence
    with pytest.raises(InputError, match="claim x is about scores in ONNX: only `ablate claim` and a report judge it"):
        evaluate(asked("onnx", better), load(study))


@pytest.mark.parametrize(
    ("cost", "said"),
    [
        ("latency_ms@onx", "did you mean 'latency_ms@onnx'"),
        ("latency@onnx-int8", "did you mean 'latency_ms@onnx-int8'"),
        ("latency_ms@torch", "PyTorch's is called latency_ms"),
        ("file_mb", "did you mean 'file_mb@onnx'"),
        ("zzz", "choose one of: "),
    ],
)
def test_a_claim_with_a_cost_that_is_none_names_the_nearest(cost, said):
    with pytest.raises(ValueError, match=f"unknown cost '{cost}': {said}"):
        asked(None, {"kind": "fewest", "cost": cost})


def test_registered_claims_are_what_they_were_and_a_runtime_is_part_of_what_is_asked():
    """Hashes of version 0.1: claims that were registered are known again by them."""
    assert digest(load_claim("lightweight")).startswith("0c3007690de4da32")
    assert digest(load_claim("lightweight_strict")).startswith("f4659b375574069e")
    plain, of_files = (asked(where, {"kind": "fewest", "cost": "params"}) for where in (None, "onnx"))
    assert "runtime" not in canonical(plain)
    assert digest(plain) != digest(of_files)


def test_tables_made_elsewhere_may_have_costs_of_files():
    """And a column that only looks like one is no cost."""
    trials = pd.DataFrame(
        {
            "key": ["a", "b"], "cell": ["a", "b"], "seed": [0, 0], "model": ["a", "b"], "params": [1, 2],
            "macs": [1, 2], "latency_ms@onnx": [3.0, None], "latency_device@onnx": ["cpu", None],
            "factor.x@onnx": ["p", "q"],
        }
    )  # fmt: skip
    row = {"image": "i", "class": 1, "tp": 3, "fp": 1, "fn": 1, "tn": 5}
    images = pd.DataFrame([{"key": key, **row} for key in ("a", "b")])
    found = pareto(from_tables(trials, images).trials, "latency_ms@onnx", "dice")
    assert [(point.cell, point.x) for point in found.points] == [("a", 3.0)]
    assert found.device == "cpu"
    assert file_words(found)[-1] == "Not measured in ONNX: b. Run `ablate measure STUDY --runtime onnx`."
