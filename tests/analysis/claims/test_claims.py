"""Claims: each verdict follows from the tables, and what the tables cannot decide is inconclusive."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from synthetic import Tables

from ablate.analysis.claims.evaluate import applicable, evaluate
from ablate.analysis.claims.schema import Claim, NonInferior, load_claim, packaged
from ablate.analysis.claims.verdict import ClaimResult, Verdict
from ablate.analysis.scores import cell_scores
from ablate.analysis.significance import difference, one_sided_bound
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


NON_INFERIOR = {"kind": "non_inferior", "metric": "dice", "margin": 0.02, "failures": {"tolerance": 0.25}}
"""Of failures it tolerates what twelve images can show: 0.22."""


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
    tables = study({"ours": (0.9, 3), "rival": (0.5, 2)}, seeds=1)
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
    light, heavy = {"kind": "fewest", "cost": "params"}, NON_INFERIOR | {"margin": 0.001}
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
    with pytest.raises(InputError, match=r"subject ours is 2 cells of slices \(ours-1 and ours-2\): choose one by"):
        evaluate(claim(NON_INFERIOR), tables)
    narrowed = verdict(tables, NON_INFERIOR, subject={"model": "ours", "width": 2})
    assert narrowed.outcome == "supported"
    with pytest.raises(InputError, match="its subject absent has no complete trial"):
        evaluate(claim(NON_INFERIOR, subject={"model": "absent"}), tables)
    with pytest.raises(InputError, match="rival ours is 2 cells"):
        evaluate(claim(NON_INFERIOR, subject={"model": "rival"}, against=[{"model": "ours"}]), tables)


def test_packaged_claims_are_sound_and_apply_where_their_cells_are():
    assert set(packaged()) == {"lightweight", "lightweight_deployed", "lightweight_strict"}
    for name in packaged():
        assert load_claim(name).name == name
    models = ["unet", "unet_plus_plus", "resnet34_unet", "attention_unet", "fcn8s", "pyconvunet"]
    tables = study({model: (0.8, 100 + i) for i, model in enumerate(models)})
    of_files = {"lightweight_deployed"}  # of which tables alone know nothing
    assert {result.name for result in applicable(tables).results} == set(packaged()) - of_files
    two = applicable(study({"unet": (0.8, 1), "pyconvunet": (0.8, 1)}))
    assert two.results == ()
    assert "needs one complete configuration each of unet_plus_plus" in two.notes[0]
    assert applicable(study({"pyconvunet": (0.8, 1)})) == ((), ())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: fewest", "kind: least", "line 5: hypotheses.0"),
        (
            "cost: params",
            "cost: parameters",
            "line 5: hypotheses.0.*cost: unknown cost 'parameters': did you mean 'params'",
        ),
        ("cost: params", "cost: parms", "line 5: hypotheses.0.cost: unknown cost 'parms': did you mean 'params'"),
        ("cost: params", "cots: params", "line 5: hypotheses.0: unknown field 'cots': did you mean 'cost'"),
        ("kind: fewest", "kind: fewst", "line 5: hypotheses.0: .*, did you mean 'fewest'"),
        (
            "kind: fewest, cost: params",
            "kind: non_inferior, metric: dice, margin: 0.1, failures: {tolerence: 0.1}",
            "line 5: hypotheses.0.failures: unknown field 'tolerence': did you mean 'tolerance'",
        ),
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


def test_a_claim_that_does_not_say_what_it_tolerates_tolerates_one_in_ten(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(MINE)
    old = load_claim(str(path)).hypotheses[1]
    assert isinstance(old, NonInferior)
    assert (old.failures.below, old.failures.tolerance) == ("half", 0.1)
    for name in packaged():
        stated = [one for one in load_claim(name).hypotheses if isinstance(one, NonInferior)]
        assert [(one.failures, "failures" in one.model_fields_set) for one in stated] == [(old.failures, True)]
    (changed,) = [one for one in load_claim(str(path)).about(fail_below=0.3).hypotheses if isinstance(one, NonInferior)]
    assert (changed.failures.below, changed.margin) == (0.3, old.margin)
    for slip in ("{below: 0}", "{tolerance: 1}", "{tolerated: 0.1}", "{below: often}"):
        path.write_text(MINE.replace("margin: 0.01", f"margin: 0.01, failures: {slip}"))
        with pytest.raises(InputError, match=r"line 6: hypotheses\.1"):
            load_claim(str(path))


def test_the_verdict_says_what_either_lost_and_what_the_design_can_show():
    found = verdict(study({"ours": (0.8, 1), "rival": (0.8, 1)}), NON_INFERIOR | {"failures": {"tolerance": 0.1}})
    assert found.outcome == "inconclusive"
    assert "is not inferior to rival in Dice" in found.sentence
    assert "(0/36 and 0/36 lost, Dice below 0.4" in found.sentence
    assert "12 cases and 3 seeds can show 23\N{NO-BREAK SPACE}% where neither loses any" in found.sentence
    assert "takes 29 cases" in found.note
    assert found.failures is not None
    assert (found.failures.tolerance, found.failures.cases) == (0.1, 12)


# At their edges ------------------------------------------------------------------------------------------------------

SUPERIOR = {"kind": "superior", "metric": "dice"}


def test_intervals_are_of_95_per_cent_and_a_one_sided_bound_s_of_90():
    tables = study({"ours": (0.8, 1), "rival": (0.79, 1)}, noise=0.02)
    scores = cell_scores(tables, "dice")
    for hypothesis, level in ((SUPERIOR, 0.95), (NON_INFERIOR, 0.9)):
        expected = difference(scores["ours"], scores["rival"], "dice", level).interval
        found = verdict(tables, hypothesis)
        assert (found.estimate, found.low, found.high) == pytest.approx(expected[:3])
        assert f"{level:.0%} CI" in found.sentence


@pytest.mark.parametrize(("mean", "below"), [(0.7, True), (0.79, False)])
def test_a_bound_exactly_at_the_margin_decides_nothing(mean, below):
    """The interval's lower end must be above, or its upper end below: of non-inferiority that of the 95 % interval, for
    it has two ways to be refuted."""
    tables = study({"ours": (mean, 200), "rival": (0.8, 200)}, noise=0.05)
    budget = {"kind": "matched_budget", "metric": "dice", "cost": "params", "family": {"model": "rival"}}
    for hypothesis in (NON_INFERIOR, budget):
        found = verdict(tables, hypothesis)
        assert found.low < 0
        at_low = verdict(tables, hypothesis | {"margin": -found.low})
        assert at_low.outcome == "inconclusive"
        assert verdict(tables, hypothesis | {"margin": math.nextafter(-found.low, 1)}).outcome == "supported"
        assert (found.high < 0) is below
        if below:
            scores = cell_scores(tables, "dice")
            high = difference(scores["ours"], scores["rival"], "dice", 0.95).interval.high
            assert (hypothesis is NON_INFERIOR) == (found.high < high)
            assert verdict(tables, hypothesis | {"margin": -high}).outcome == "inconclusive"
            assert verdict(tables, hypothesis | {"margin": math.nextafter(-high, 0)}).outcome == "refuted"


def test_what_differs_by_chance_is_neither_better_nor_worse():
    for ours, rival in ((0.8, 0.802), (0.802, 0.8)):
        found = verdict(study({"ours": (ours, 1), "rival": (rival, 1)}, noise=0.05), SUPERIOR)
        assert found.outcome == "inconclusive"
        assert "is not shown to differ from rival" in found.sentence
        assert "after Holm's correction" in found.sentence
    alike = study({"ours": (0.8, 1), "rival": (0.8, 1)}, noise=0.0)
    assert verdict(alike, SUPERIOR).outcome == "inconclusive"


def test_one_seed_has_no_interval_and_no_p_value_to_tell():
    found = verdict(study({"ours": (0.9, 1), "rival": (0.5, 2)}, seeds=1), SUPERIOR)
    assert "no interval: one seed)" in found.sentence
    assert "Holm" not in found.sentence


def test_what_one_rival_lacks_costs_the_others_nothing():
    tables = study({"ours": (0.85, 1), "rival": (0.8, 1), "bare": (0.8, 1)})
    tables = tables._replace(images=tables.images[~tables.images["key"].str.startswith("bare")])
    against = [{"model": "bare"}, {"model": "rival"}]
    for hypothesis in (SUPERIOR, NON_INFERIOR):
        found = {v.name.rsplit(" ", 1)[1]: v for v in judged(tables, hypothesis, against=against).verdicts}
        assert found["rival"].outcome == "supported"
        assert found["bare"].outcome == "inconclusive"
        assert found["bare"].sentence == "It cannot be judged: bare has no test score."


def test_a_hypothesis_may_have_rivals_of_its_own():
    tables = study({"ours": (0.8, 100), "rival": (0.8, 200), "light": (0.8, 50)})
    fewest = {"kind": "fewest", "cost": "params"}
    assert verdict(tables, fewest).outcome == "supported"
    assert verdict(tables, fewest | {"against": [{"model": "light"}]}).outcome == "refuted"
    none = verdict(tables, fewest | {"against": []})
    assert (none.outcome, none.unit) == ("inconclusive", "ratio")


def test_the_subject_is_no_rival_of_its_own():
    tables = study({"ours": (0.8, 100), "rival": (0.8, 200)})
    found = verdict(tables, {"kind": "fewest", "cost": "params"}, against=[{"model": "ours"}, {"model": "rival"}])
    assert (found.outcome, found.note) == ("inconclusive", "without ours")


def priced(**costs: float) -> Tables:
    """A study with latencies, of which some are not known."""
    tables = study(dict.fromkeys(costs, (0.8, 100)))
    return tables._replace(trials=tables.trials.assign(latency_ms=tables.trials["cell"].map(costs)))


@pytest.mark.parametrize(
    ("costs", "outcome", "estimate", "note"),
    [
        ({"ours": 1.0, "rival": 2.0, "other": 4.0}, "supported", 0.5, ""),
        ({"ours": 3.0, "rival": 2.0, "other": 4.0}, "refuted", 1.5, ""),
        ({"ours": 1.0, "rival": 2.0, "other": math.nan}, "inconclusive", 0.5, "without other"),
        ({"ours": 2.0, "rival": 2.0, "other": math.nan}, "refuted", 1.0, "without other"),
        ({"ours": 1.0, "rival": math.nan, "other": math.nan}, "inconclusive", math.nan, "nothing to judge by"),
        ({"ours": math.nan, "rival": 2.0, "other": 4.0}, "inconclusive", math.nan, "nothing to judge by"),
        ({"ours": 0.0, "rival": 0.0, "other": 4.0}, "refuted", 1.0, ""),
        ({"ours": 1.0, "rival": 0.0, "other": 4.0}, "refuted", math.inf, ""),
        ({"ours": 0.0, "rival": 2.0, "other": 4.0}, "supported", 0.0, ""),
    ],
)
def test_the_least_cost_is_held_against_all_that_are_known(costs, outcome, estimate, note):
    against = [{"model": "rival"}, {"model": "other"}]
    found = verdict(priced(**costs), {"kind": "fewest", "cost": "latency_ms"}, against=against)
    assert (found.outcome, found.note) == (outcome, note)
    assert found.estimate == pytest.approx(estimate, nan_ok=True)
    if not math.isnan(estimate):
        known = sum(not math.isnan(cost) for cost in costs.values())
        verb = "has" if estimate < 1 else "does not have"
        assert found.sentence.startswith(f"ours {verb} the lowest latency of {known} networks: {costs['ours']:.3g} ms")


@pytest.mark.parametrize("noise", [0.01, 0.02])
def test_on_a_front_is_better_than_all_that_are_no_dearer_and_off_it_is_worse_than_one(noise):
    front = {"kind": "on_front", "cost": "params", "metric": "dice"}
    costs = {"ours": 200, "rival": 100, "other": 200, "dear": 300}

    def found(ours: float, level: float = 0.95, **others: float):
        cells = {"ours": ours, "rival": 0.80, "other": 0.70, "dear": 0.99} | others
        tables = study({name: (dice, costs[name]) for name, dice in cells.items()}, noise=noise)
        scores = {one.label: one for one in cell_scores(tables, "dice").values()}
        bounds = [one_sided_bound(scores["ours"], scores[name], level) for name in ("rival", "other")]
        return verdict(tables, front | {"probability": level}), all(bound.not_below(0) for bound in bounds)

    for ours in (0.79, 0.80, 0.805, 0.81, 0.82, 0.85):
        for level in (0.8, 0.95, 0.99):
            judged, better = found(ours, level)
            assert (judged.outcome == "supported") == better, "the dearer one does not matter"
    assert found(0.90)[0].outcome == "supported"
    assert found(0.79, other=0.90)[0].outcome == "refuted"
    assert found(0.80)[0].outcome == "inconclusive"
    assert "bootstrap resamples" in found(0.80)[0].sentence


def test_the_one_cheapest_is_on_the_front_whatever_it_scores():
    tables = study({"ours": (0.2, 1), "rival": (0.9, 2)}, seeds=1)
    assert verdict(tables, {"kind": "on_front", "cost": "params", "metric": "dice"}).outcome == "supported"


BUDGET = {"kind": "matched_budget", "metric": "dice", "cost": "params", "family": {"model": "family"}}


@pytest.mark.parametrize(("own", "against"), [(100, 0.70), (400, 0.80), (1600, 0.90)])
def test_a_member_of_the_family_at_the_subject_s_cost_is_all_that_counts(own, against):
    sweep = {"family-1": (0.70, 100), "family-2": (0.80, 400), "family-3": (0.90, 1600)}
    found = verdict(study({"ours": (0.75, own), **sweep}, noise=0.0), BUDGET)
    assert found.estimate == pytest.approx(0.75 - against, abs=1e-4)


def test_a_family_of_one_parameter_up_brackets_and_one_without_a_cost_does_not():
    found = verdict(study({"ours": (0.85, 2), "family-1": (0.7, 1), "family-2": (0.8, 4)}, noise=0.0), BUDGET)
    assert found.estimate == pytest.approx(0.85 - 0.75, abs=1e-4)
    found = verdict(study({"ours": (0.85, 2), "family-1": (0.7, 0), "family-2": (0.8, 4)}), BUDGET)
    assert found.outcome == "inconclusive"
    assert "(parameters from 4 to 4) does not bracket ours's 2;" in found.sentence


@pytest.mark.parametrize(("own", "span"), [(50, "100 to 1.60"), (2000, "100 to 1.60")])
def test_what_a_family_does_not_bracket_is_said_with_its_span(own, span):
    sweep = {"family-2": (0.80, 400), "family-3": (0.90, 1600), "family-1": (0.70, 100)}
    found = verdict(study({"ours": (0.85, own), **sweep}), BUDGET)
    assert (found.outcome, found.unit) == ("inconclusive", "difference")
    assert f"(parameters from {span}\N{NO-BREAK SPACE}k) does not bracket" in found.sentence
    found = verdict(study({"ours": (0.85, own)}), BUDGET)
    assert "(parameters none) does not bracket" in found.sentence


def test_the_subject_is_no_member_of_the_family_it_is_held_against():
    tables = study({"ours-1": (0.85, 200), "ours-2": (0.70, 100), "ours-3": (0.80, 400)}, noise=0.0)
    budget = BUDGET | {"family": {"model": "ours"}}
    found = verdict(tables, budget, subject={"model": "ours", "width": 1})
    assert found.estimate == pytest.approx(0.10, abs=1e-4)


def test_a_family_is_interpolated_on_the_seeds_and_images_that_both_neighbours_have():
    tables = study({"ours": (0.85, 200), "family-1": (0.70, 100), "family-2": (0.80, 400)}, noise=0.01)
    images = tables.images
    gone = images["key"].eq("family-1-0") | (images["key"].str.startswith("family-2") & images["image"].eq("i03"))
    kept = tables._replace(images=images[~gone])
    scores = cell_scores(kept, "dice")
    one, other, ours = (scores[name].values for name in ("family-1", "family-2", "ours"))
    middle = (np.delete(one, 3, axis=1) + other[1:]) / 2
    assert verdict(kept, BUDGET).estimate == pytest.approx((np.delete(ours[1:], 3, axis=1) - middle).mean())


def test_how_many_seeds_would_decide_is_said_where_nothing_is_decided():
    noisy = study({"ours": (0.79, 1), "rival": (0.80, 1)}, noise=0.02)
    found = verdict(noisy, SUPERIOR)
    assert found.outcome == "inconclusive"
    scores = cell_scores(noisy, "dice")
    needed = difference(scores["ours"], scores["rival"], "dice").seeds_needed
    assert needed is not None
    assert found.note == f"about {needed} seeds would likely decide it"
    for hypothesis in (SUPERIOR, NON_INFERIOR):
        assert verdict(study({"ours": (0.85, 1), "rival": (0.8, 1)}), hypothesis).note == ""
    never = verdict(study({"ours": (0.79, 1), "rival": (0.80, 1)}, noise=0.05), SUPERIOR)
    assert never.note == "more seeds would not decide it: the images vary too much"


@pytest.mark.parametrize("kind", [NON_INFERIOR, BUDGET])
@pytest.mark.parametrize(("noise", "margin"), [(0.02, 0.05), (0.03, 0.02), (0.05, 0.02), (0.05, 0.03)])
def test_what_would_decide_a_verdict_is_said_once_and_only_where_nothing_is_decided(noise, margin, kind):
    """Of whether they differ at all it may be that no seeds would decide it, of the margin that a few more would."""
    cells = {"ours": (0.80, 200), "rival": (0.80, 1), "family-1": (0.79, 100), "family-2": (0.80, 400)}
    found = verdict(study(cells, noise=noise), kind | {"margin": margin})
    assert found.note.count("decide") == (found.outcome == "inconclusive")


def test_a_label_selects_with_and_without_its_mark():
    tables = study({"ours": (0.8, 100), "rival": (0.8, 200)})
    tables.trials["label"] = tables.trials["label"] + " ‡"
    fewest = {"kind": "fewest", "cost": "params"}
    assert verdict(tables, fewest, subject={"label": "ours"}, against=[{"label": "rival"}]).estimate == 0.5
    found = verdict(tables, fewest, against=[{"label": "riva"}])
    assert found.note == "nothing to judge by"


def test_a_failed_trial_is_no_part_of_a_claim():
    tables = study({"ours": (0.8, 100), "rival": (0.8, 200)})
    trials = tables.trials
    trials.loc[trials["cell"] == "rival", "state"] = "failed"
    found = verdict(tables._replace(trials=trials), {"kind": "fewest", "cost": "params"})
    assert (found.outcome, found.note) == ("inconclusive", "nothing to judge by")


def test_a_data_set_without_the_subject_is_passed_over():
    one = study({"ours": (0.8, 100), "rival": (0.8, 200)})
    other = study({"rival": (0.8, 200)}, data="volumes")
    other.trials["key"], other.trials["cell"] = other.trials["key"] + "v", other.trials["cell"] + "v"
    both = Tables(pd.concat([other.trials, one.trials]), pd.DataFrame(), one.images)
    assert [result.task for result in evaluate(claim({"kind": "fewest", "cost": "params"}), both)] == ["slices"]


def test_a_packaged_claim_is_noted_only_where_a_part_of_it_could_be_judged():
    models = ["unet", "unet_plus_plus", "resnet34_unet", "attention_unet", "fcn8s", "pyconvunet"]
    whole = {model: (0.8, 100 + place) for place, model in enumerate(models)}
    found = applicable(study(whole))
    assert found.notes == ()
    twice = applicable(study({**whole, "fcn8s-8": (0.8, 300)}))
    assert twice.results == ()
    assert "needs one complete configuration each of fcn8s;" in twice.notes[0]
    assert applicable(study({"unet": (0.8, 1), "fcn8s": (0.8, 2)})) == ((), ())  # nobody to judge
    assert applicable(study({"pyconvunet-1": (0.8, 1), "pyconvunet-2": (0.8, 1), "fcn8s": (0.8, 2)})) == ((), ())


def test_the_sentence_counts_the_verdicts():
    tables = study({"ours": (0.8, 100), "rival": (0.8, 200), "light": (0.8, 50)})
    fewest = [{"kind": "fewest", "cost": "params"}, {"kind": "fewest", "cost": "macs", "against": [{"model": "light"}]}]
    assert (
        judged(tables, *fewest).sentence == "On slices the claim is refuted: of 2 verdicts 1 supported and 1 refuted."
    )
    found = judged(tables, fewest[0], {**fewest[0], "cost": "latency_ms"})
    assert found.sentence == "On slices the claim is inconclusive: of 2 verdicts 1 supported and 1 inconclusive."
