"""Claims: each verdict follows from the tables, and what the tables cannot decide is inconclusive."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from synthetic import Tables

from ablate.analysis.claims.evaluate import applicable, evaluate
from ablate.analysis.claims.schema import Claim, load_claim, packaged
from ablate.analysis.claims.verdict import ClaimResult, Verdict
from ablate.errors import InputError
from ablate.study.tables import IMAGE_COLUMNS

PIXELS = 10_000


def study(
    cells: dict[str, tuple[float, float]], seeds: int = 3, images: int = 12, noise: float = 0.002, **columns: Any
) -> Tables:
    """Tables with a cell for each name: (mean Dice, parameters). Images differ in difficulty, alike for all cells."""
    rng = np.random.default_rng(0)
    difficulty = rng.normal(0, 0.02, images)
    trials, counts = [], []
    for name, (mean, params) in cells.items():
        for seed in range(seeds):
            key = f"{name}-{seed}"
            dices = np.clip(mean + difficulty - difficulty.mean() + rng.normal(0, noise, images), 0, 1)
            # Of 2n foreground pixels drawn and true alike, Dice is the fraction that overlap.
            tp = np.round(dices * PIXELS).astype(int)
            for image in range(images):
                wrong = PIXELS - int(tp[image])
                counts.append((key, f"i{image:02d}", 0, PIXELS, wrong, wrong, int(tp[image])))
                counts.append((key, f"i{image:02d}", 1, int(tp[image]), wrong, wrong, PIXELS))
            trials.append(
                {
                    "key": key,
                    "cell": name,
                    "space": "s",
                    "data": "slices",
                    "model": name.split("-")[0],
                    "seed": seed,
                    "state": "complete",
                    "params": params,
                    "macs": params * 100,
                    "latency_ms": math.nan,
                    "peak_memory_mb": math.nan,
                    "best_epoch": 1,
                    "epochs": 1,
                    "train_seconds": 1.0,
                    "dice": float((tp / PIXELS).mean()),
                    "iou": 0.5,
                    "miou": 0.5,
                    "error": None,
                    "label": name,
                    "configuration": f"{name.split('-')[0]} width={name.split('-')[1] if '-' in name else 32}",
                }
                | columns
            )
    names = list(IMAGE_COLUMNS)
    return Tables(pd.DataFrame(trials), pd.DataFrame(), pd.DataFrame(counts, columns=names))


def claim(*hypotheses: dict[str, Any], **fields: Any) -> Claim:
    base = {"name": "c", "statement": "s", "subject": {"model": "ours"}, "against": [{"model": "rival"}]}
    return Claim.model_validate(base | fields | {"hypotheses": list(hypotheses)})


def judged(tables: Tables, *hypotheses: dict[str, Any], **fields: Any) -> ClaimResult:
    (result,) = evaluate(claim(*hypotheses, **fields), tables)
    return result


def verdict(tables: Tables, hypothesis: dict[str, Any], **fields: Any) -> Verdict:
    (found,) = judged(tables, hypothesis, **fields).verdicts
    return found


NON_INFERIOR = {"kind": "non_inferior", "metric": "dice", "margin": 0.02}


def test_fewest_compares_known_costs():
    found = verdict(study({"ours": (0.8, 100), "rival": (0.8, 200)}), {"kind": "fewest", "cost": "params"})
    assert (found.outcome, found.estimate) == ("supported", 0.5)
    found = verdict(study({"ours": (0.8, 300), "rival": (0.8, 200)}), {"kind": "fewest", "cost": "macs"})
    assert (found.outcome, found.estimate) == ("refuted", 1.5)
    assert "does not have the fewest MACs of 2 networks: " in found.sentence
    found = verdict(study({"ours": (0.8, 200), "rival": (0.8, 200)}), {"kind": "fewest", "cost": "macs"})
    assert (found.outcome, found.estimate) == ("refuted", 1.0)  # as many is not fewer


def test_a_cost_that_was_not_measured_is_inconclusive():
    tables = study({"ours": (0.8, 100), "rival": (0.8, 200)})
    found = verdict(tables, {"kind": "fewest", "cost": "latency_ms"})
    assert found.outcome == "inconclusive"
    assert "ablate measure" in found.sentence


@pytest.mark.parametrize(("ours", "outcome"), [(0.80, "supported"), (0.70, "refuted")])
def test_non_inferiority_follows_from_the_bound_and_the_margin(ours, outcome):
    found = verdict(study({"ours": (ours, 1), "rival": (0.80, 1)}), NON_INFERIOR)
    assert found.outcome == outcome
    assert found.estimate == pytest.approx(ours - 0.80, abs=0.005)
    assert found.low < found.estimate < found.high
    assert (found.low > -0.02) == (outcome == "supported")


def test_what_noise_hides_is_inconclusive():
    found = verdict(study({"ours": (0.79, 1), "rival": (0.80, 1)}, noise=0.08), NON_INFERIOR)
    assert found.outcome == "inconclusive"
    assert found.low < -0.02 < found.high


def test_one_seed_decides_nothing_about_accuracy():
    tables = study({"ours": (0.9, 1), "rival": (0.5, 2)}, seeds=1)
    for hypothesis in (
        NON_INFERIOR,
        {"kind": "superior", "metric": "dice"},
        {"kind": "on_front", "cost": "params", "metric": "dice"},
    ):
        found = verdict(tables, hypothesis)
        assert found.outcome == "inconclusive", hypothesis
        assert "one seed" in found.note


def test_superior_needs_a_significant_difference_in_the_right_direction():
    superior = {"kind": "superior", "metric": "dice"}
    assert verdict(study({"ours": (0.85, 1), "rival": (0.8, 1)}), superior).outcome == "supported"
    assert verdict(study({"ours": (0.75, 1), "rival": (0.8, 1)}), superior).outcome == "refuted"
    assert verdict(study({"ours": (0.8, 1), "rival": (0.8, 1)}, noise=0.03), superior).outcome == "inconclusive"


def test_each_rival_is_a_verdict_and_a_missing_one_is_inconclusive():
    tables = study({"ours": (0.85, 1), "rival": (0.8, 1), "other": (0.7, 1)})
    result = judged(tables, NON_INFERIOR, against=[{"model": "rival"}, {"model": "other"}, {"model": "absent"}])
    assert [v.outcome for v in result.verdicts] == ["supported", "supported", "inconclusive"]
    assert "absent" in result.verdicts[2].sentence
    assert result.outcome == "inconclusive"


def test_on_front_is_a_probability():
    front = {"kind": "on_front", "cost": "params", "metric": "dice"}
    found = verdict(study({"ours": (0.9, 1), "rival": (0.8, 2)}), front)
    assert (found.outcome, found.estimate) == ("supported", 1.0)
    found = verdict(study({"ours": (0.7, 3), "rival": (0.8, 2)}), front)
    assert (found.outcome, found.estimate) == ("refuted", 0.0)


def test_matched_budget_interpolates_the_family_at_the_subjects_cost():
    budget = {"kind": "matched_budget", "metric": "dice", "cost": "params", "family": {"model": "family"}}
    sweep = {"family-1": (0.70, 100), "family-2": (0.80, 400), "family-3": (0.90, 1600)}
    found = verdict(study({"ours": (0.85, 200), **sweep}, noise=0.001), budget)
    # Halfway between 100 and 400 in the logarithm, where the family scores 0.75.
    assert found.estimate == pytest.approx(0.10, abs=0.002)
    assert found.outcome == "supported"
    assert verdict(study({"ours": (0.70, 200), **sweep}, noise=0.001), budget).outcome == "refuted"
    found = verdict(study({"ours": (0.85, 50), **sweep}), budget)
    assert found.outcome == "inconclusive"
    assert "does not bracket" in found.sentence


def test_the_claim_is_supported_only_if_all_of_it_is():
    tables = study({"ours": (0.8, 100), "rival": (0.8, 200)})
    light, heavy = {"kind": "fewest", "cost": "params"}, {"kind": "non_inferior", "metric": "dice", "margin": 0.001}
    assert judged(tables, light, NON_INFERIOR).outcome == "supported"
    worse = study({"ours": (0.7, 100), "rival": (0.8, 200)})
    assert judged(worse, light, NON_INFERIOR).outcome == "refuted"
    noisy = study({"ours": (0.8, 100), "rival": (0.8, 200)}, noise=0.05)
    assert judged(noisy, light, heavy).outcome == "inconclusive"


def test_each_data_set_is_judged_apart():
    one = study({"ours": (0.8, 100), "rival": (0.8, 200)})
    other = study({"ours": (0.6, 100), "rival": (0.8, 200)}, data="volumes")
    for table in (other.trials, other.images):
        table["key"] = table["key"] + "v"
    other.trials["cell"] = other.trials["cell"] + "v"
    both = Tables(pd.concat([one.trials, other.trials]), pd.DataFrame(), pd.concat([one.images, other.images]))
    found = {result.task: result.outcome for result in evaluate(claim(NON_INFERIOR), both)}
    assert found == {"slices": "supported", "volumes": "refuted"}


def test_a_selector_must_find_one_cell():
    tables = study({"ours-1": (0.8, 1), "ours-2": (0.8, 2), "rival": (0.8, 3)})
    with pytest.raises(InputError, match=r"subject ours is 2 cells of slices \(ours-1 and ours-2\); narrow it"):
        evaluate(claim(NON_INFERIOR), tables)
    narrowed = verdict(tables, NON_INFERIOR, subject={"model": "ours", "width": 2})
    assert narrowed.outcome == "supported"
    with pytest.raises(InputError, match="its subject absent has no complete trial"):
        evaluate(claim(NON_INFERIOR, subject={"model": "absent"}), tables)
    with pytest.raises(InputError, match="rival ours is 2 cells"):
        evaluate(claim(NON_INFERIOR, subject={"model": "rival"}, against=[{"model": "ours"}]), tables)


def test_packaged_claims_are_sound_and_apply_where_their_cells_are():
    assert set(packaged()) == {"lightweight", "lightweight_strict"}
    for name in packaged():
        assert load_claim(name).name == name
    models = ["unet", "unet_plus_plus", "resnet34_unet", "attention_unet", "fcn8s", "pyconvunet"]
    tables = study({model: (0.8, 100 + i) for i, model in enumerate(models)})
    assert {result.name for result in applicable(tables).results} == set(packaged())
    two = applicable(study({"unet": (0.8, 1), "pyconvunet": (0.8, 1)}))
    assert two.results == ()
    assert "needs one complete configuration each of unet_plus_plus" in two.notes[0]
    assert applicable(study({"pyconvunet": (0.8, 1)})) == ((), ())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: fewest", "kind: least", "line 5: hypotheses.0"),
        ("cost: params", "cost: parameters", "line 5: hypotheses.0.*cost: Input should be 'params'"),
        ("statement: s\n", "", "statement: Field required"),
        ("name: c", "name: [c", "line "),
    ],
)
def test_a_slip_in_a_claim_file_is_a_line_with_its_place(tmp_path, old, new, message):
    text = "name: c\nstatement: s\nsubject: {model: ours}\nhypotheses:\n  - {kind: fewest, cost: params}\n"
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=message) as error:
        load_claim(str(path))
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="unknown claim 'lightwieght': did you mean 'lightweight'"):
        load_claim("lightwieght")


MINE = """\
name: mine
statement: Mine is lighter.
subject: {model: mine}
hypotheses:
  - {kind: fewest, cost: params}
  - {kind: non_inferior, metric: dice, margin: 0.01}
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{model: mine}", "{}", "line 3: subject: Dictionary should have at least 1 item"),
        ("{model: mine}", "{'': mine}", "line 3: subject.*: String should have at least 1 character"),
        ("{model: mine}", "{width: .inf}", "line 3: '.inf' is not a finite number"),
        ("{model: mine}", "{model: [mine]}", "line 3: subject.model: "),
        ("{model: mine}", "{model: mine, model: other}", "line 3: the key 'model' is given twice, first in line 3"),
        ("{model: mine}", f"{{{', '.join(f'a{i}: 1' for i in range(101))}}}", "line 3: subject: .*at most 100 items"),
        ("margin: 0.01", "margin: .nan", "line 6: '.nan' is not a finite number"),
        ("margin: 0.01", "margin: 1e999", "line 6: hypotheses.1.margin: Input should be a finite number"),
        ("margin: 0.01", "margin: 0", "line 6: hypotheses.1.margin: Input should be greater than 0"),
        ("  - {kind: f", "  - {kind: fewest, cost: macs}\n" * 99 + "  - {kind: f", "line 4: hypotheses: .*at most 100"),
        ("name: mine", f"name: {'m' * 101}", "line 1: name: String should have at most 100 characters"),
        ("hypotheses:", "against: [{}]\nhypotheses:", "line 4: against.0: Dictionary should have at least 1 item"),
    ],
)
def test_a_slip_in_a_claim_is_one_line_with_its_place(tmp_path, old, new, message):
    path = tmp_path / "mine.yaml"
    path.write_text(MINE)
    assert load_claim(str(path)).name == "mine"
    assert old in MINE
    path.write_text(MINE.replace(old, new))
    with pytest.raises(InputError, match=message) as error:
        load_claim(str(path))
    assert "\n" not in str(error.value)
