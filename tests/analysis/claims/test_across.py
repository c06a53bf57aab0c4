"""A claim over several data sets: each by itself, and together only as the design allows."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from synthetic import Tables, table, trial

from ablate.analysis.claims.across import Across, Together, across
from ablate.analysis.claims.evaluate import evaluate
from ablate.analysis.claims.schema import Claim
from ablate.analysis.claims.verdict import Outcome
from ablate.analysis.scores import cell_scores
from ablate.analysis.significance import difference
from ablate.errors import InputError

PIXELS = 10_000
NON_INFERIOR = {"kind": "non_inferior", "metric": "dice", "margin": 0.02}
SUPERIOR = {"kind": "superior", "metric": "dice"}


def study(data: str, means: dict[str, float], seeds: int = 3, images: int = 8, params: float = 1e6) -> Tables:
    """Cells of one data set by the mean of their Dice; subject `ours` has half the parameters of each other."""
    rng = np.random.default_rng(sum(map(ord, data)))
    trials, counts = [], []
    for name, mean in means.items():
        for seed in range(seeds):
            dices = mean + rng.normal(0, 0.004, images)
            cost = params / 2 if name == "ours" else params
            row = trial(f"{data}-{name}", float(dices.mean()), cost, seed=seed, data=data, model=name, label=name)
            trials.append(row)
            for image, tp in enumerate(np.round(dices * PIXELS).astype(int)):
                wrong = PIXELS - int(tp)
                base = {"key": row["key"], "image": f"{data}{image}"}
                counts.append({**base, "class": 0, "tp": PIXELS, "fp": wrong, "fn": wrong, "tn": int(tp)})
                counts.append({**base, "class": 1, "tp": int(tp), "fp": wrong, "fn": wrong, "tn": PIXELS})
    return Tables(table(*trials), pd.DataFrame(), pd.DataFrame(counts))


def studies(*differences: float, seeds: int = 3) -> dict[str, Tables]:
    return {f"s{at}": study(f"d{at}", {"ours": 0.8 + d, "rival": 0.8}, seeds) for at, d in enumerate(differences)}


def claim(*hypotheses: dict, **fields: object) -> Claim:
    base = {"name": "c", "statement": "s", "subject": {"model": "ours"}, "against": [{"model": "rival"}]}
    return Claim.model_validate(base | fields | {"hypotheses": list(hypotheses)})


def one(found: Across) -> Together:
    (together,) = found.together
    return together


def test_a_difference_is_judged_by_its_mean_over_data_sets():
    given = studies(0.010, 0.012, 0.008)
    found = across(claim(SUPERIOR), given)
    together = one(found)
    own = []
    for at, frames in enumerate(given.values()):
        scores = cell_scores(frames, "dice")
        own.append(difference(scores[f"d{at}-ours"], scores[f"d{at}-rival"], "dice").interval.estimate)
    test = stats.ttest_1samp(own, 0)
    assert together.verdict.estimate == pytest.approx(np.mean(own))
    assert (together.verdict.low, together.verdict.high) == pytest.approx(tuple(test.confidence_interval(0.95)))
    assert together.p_supported == pytest.approx(test.pvalue)
    assert together.verdict.outcome == found.outcome == "supported"
    assert "(t over data sets, 2 df)" in together.verdict.sentence
    assert "It is better on 3 of 3 (sign test, p = 0.12)." in together.verdict.sentence
    assert [result.task for result in found.results] == ["d0", "d1", "d2"]
    assert any("sign test's p would be 0.12: counting alone can show nothing" in note for note in found.notes)


def test_non_inferiority_is_by_a_one_sided_bound_against_the_margin():
    together = one(across(claim(NON_INFERIOR), studies(0.0, -0.004, 0.003)))
    assert together.verdict.outcome == "supported"
    differences = [verdict.estimate for verdict in together.each.values()]
    low = stats.ttest_1samp(differences, 0, alternative="greater").confidence_interval(0.95).low
    assert together.verdict.low == pytest.approx(low)
    assert together.verdict.low > -0.02
    assert one(across(claim(NON_INFERIOR), studies(-0.05, -0.045, -0.06))).verdict.outcome == "refuted"
    spread = one(across(claim(NON_INFERIOR), studies(0.05, -0.019, 0.04)))
    assert spread.verdict.outcome == "inconclusive"
    assert {verdict.outcome for verdict in spread.each.values()} != {"refuted"}


def test_two_data_sets_say_little():
    together = one(across(claim(SUPERIOR), studies(0.010, 0.020)))
    assert {verdict.outcome for verdict in together.each.values()} == {"supported"}
    assert together.verdict.outcome == "inconclusive"
    assert together.verdict.low < 0 < together.verdict.high


def test_a_mean_does_not_make_up_for_a_data_set_that_refutes():
    found = across(claim(NON_INFERIOR), studies(*[0.0, 0.001, -0.001, 0.002, 0.001] * 2, -0.03))
    together = one(found)
    assert together.p_supported < 0.05
    assert together.verdict.outcome == found.outcome == "inconclusive"
    assert "refuted on d10" in together.verdict.note


def test_a_rival_that_a_data_set_lacks_keeps_it_open():
    given = studies(0.010, 0.0101, 0.0099)
    given["s3"] = study("d3", {"ours": 0.8, "other": 0.8})
    together = one(across(claim(SUPERIOR), given))
    assert together.p_supported < 0.05
    assert together.verdict.outcome == "inconclusive"
    assert together.verdict.note == "cannot be judged on d3"
    few = {"s0": given["s0"], "s3": given["s3"]}
    assert "known on d0 of 2 data sets" in one(across(claim(SUPERIOR), few)).verdict.sentence


def test_one_seed_a_data_set_is_an_observation_though_no_interval():
    found = across(claim(SUPERIOR), studies(0.01, 0.011, 0.009, 0.012, 0.010, seeds=1))
    together = one(found)
    assert {verdict.outcome for verdict in together.each.values()} == {"inconclusive"}
    assert together.synthesis is not None
    assert math.isnan(together.synthesis.spread)
    assert together.verdict.outcome == "supported"


def test_costs_hold_if_they_do_everywhere():
    fewest = {"kind": "fewest", "cost": "params"}
    found = across(claim(fewest), studies(0.0, 0.0))
    assert (found.outcome, one(found).verdict.sentence) == ("supported", "Fewest parameters on 2 of 2 data sets.")
    given = studies(0.0, 0.0)
    given["s1"].trials["params"] = 1e6
    found = across(claim(fewest), given)
    assert (found.outcome, one(found).verdict.note) == ("refuted", "")


@pytest.mark.parametrize(("gain", "outcome"), [(-0.01, "refuted"), (0.01, "supported")])
def test_less_of_a_distance_is_better(gain: float, outcome: Outcome):
    given = {}
    for at in range(4):
        frames = study(f"d{at}", {"ours": 0.8, "rival": 0.8})
        worse = frames.images["key"].str.contains("ours") * -gain * 100
        noise = np.random.default_rng(at).normal(0, 0.01, len(frames.images))
        images = frames.images.assign(**{"metric.hd95_mm": 5 + worse + noise})
        given[f"s{at}"] = frames._replace(images=images, trials=frames.trials.assign(hd95_mm=5.0))
    together = one(across(claim({"kind": "superior", "metric": "hd95"}), given))
    assert together.verdict.outcome == outcome
    assert together.verdict.estimate == pytest.approx(-100 * gain, abs=0.02)
    assert together.signs is not None
    assert together.signs.above == (4 if outcome == "supported" else 0)


def test_rivals_of_superior_are_one_family():
    given = {f"s{at}": study(f"d{at}", {"ours": 0.81 + 0.002 * at, "rival": 0.8, "other": 0.805}) for at in range(4)}
    found = across(claim(SUPERIOR, against=[{"model": "rival"}, {"model": "other"}]), given)
    alone = [one(across(claim(SUPERIOR, against=[{"model": name}]), given)).p_supported for name in ("rival", "other")]
    assert alone[0] < alone[1] < 0.05
    stepped = [2 * alone[0], max(2 * alone[0], alone[1])]
    assert [together.p_supported for together in found.together] == pytest.approx(stepped)


def test_the_same_images_are_one_data_set():
    given = studies(0.010, 0.011)
    given["again"] = given["s0"]
    found = across(claim(SUPERIOR), given)
    assert [result.task for result in found.results] == ["s0: d0", "d1", "again: d0"]
    assert list(one(found).each) == ["s0: d0", "d1"]
    assert "again: d0 looks like s0: d0 again: together, it counts once" in found.notes
    twice = across(claim(SUPERIOR), {"one": given["s0"], "two": given["s0"]})
    assert twice.together == ()
    assert any("One data set says nothing of others" in note for note in twice.notes)


def test_one_data_set_is_judged_as_ever():
    given = studies(0.01)
    found = across(claim(SUPERIOR), given)
    assert list(found.results) == evaluate(claim(SUPERIOR), given["s0"])
    assert (found.outcome, found.together, found.notes) == (found.results[0].outcome, (), ())


def test_a_study_of_several_data_sets_is_judged_together_too():
    parts = studies(0.010, 0.012, 0.008)
    whole = Tables(*(pd.concat([part[at] for part in parts.values()], ignore_index=True) for at in range(3)))
    assert one(across(claim(SUPERIOR), {"all": whole})).verdict == one(across(claim(SUPERIOR), parts)).verdict


def test_a_study_that_cannot_be_asked_is_named():
    given = studies(0.01)
    given["s1"] = study("d1", {"rival": 0.8})
    with pytest.raises(InputError, match=r"^s1: claim c: its subject ours has no complete trial"):
        across(claim(SUPERIOR), given)


def test_a_whole_claim_is_refuted_at_five_per_cent_over_its_verdicts():
    """Of ten rivals one is refuted by itself at p = 0.02: not the claim, which had ten chances."""
    rivals = [f"rival{at}" for at in range(10)]
    given = {}
    for at, d in enumerate((-0.028, -0.050, -0.040)):
        means = dict.fromkeys(rivals, 0.8) | {"ours": 0.8, "rival0": 0.8 - d}
        given[f"s{at}"] = study(f"d{at}", means)
    found = across(claim(NON_INFERIOR, against=[{"model": name} for name in rivals]), given)
    first = found.together[0]
    assert first.verdict.outcome == "refuted"
    assert 0.005 < first.p_refuted < 0.05
    assert found.outcome == "inconclusive"
