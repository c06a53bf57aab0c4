"""Studies side by side: matching, ranks and the Friedman test, and what is said where something is missing."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy.stats import friedmanchisquare
from synthetic import table, trial, trivial

from ablate.analysis.claims.across import applicable
from ablate.analysis.compare import compare, findings
from ablate.analysis.frames import Frames
from ablate.analysis.report.compare_report import compare_report
from ablate.analysis.report.report import About
from ablate.errors import InputError

# Demšar (2006), JMLR 7, Table 6: AUC of C4.5 with parameters m, cf, both tuned, on 14 data sets.
DEMSAR = {
    "C4.5": [0.763, 0.599, 0.954, 0.628, 0.882, 0.936, 0.661, 0.583, 0.775, 1.000, 0.940, 0.619, 0.972, 0.957],
    "C4.5+m": [0.768, 0.591, 0.971, 0.661, 0.888, 0.931, 0.668, 0.583, 0.838, 1.000, 0.962, 0.666, 0.981, 0.978],
    "C4.5+cf": [0.771, 0.590, 0.968, 0.654, 0.886, 0.916, 0.609, 0.563, 0.866, 1.000, 0.965, 0.614, 0.9751, 0.946],
    "C4.5+m+cf": [0.798, 0.569, 0.967, 0.657, 0.898, 0.931, 0.685, 0.625, 0.875, 1.000, 0.962, 0.669, 0.975, 0.970],
}


def study(data: str, scores: dict[str, float], seeds: int = 1, **columns: object) -> Frames:
    """A study of one data set: each network has its score in the trial table and, about it, on four images."""
    rows = [
        trial(
            f"{data}-{name}",
            dice + 0.01 * seed,
            1e6,
            seed=seed,
            data=data,
            label=name,
            configuration=f"net {name}",
            **columns,
        )
        for name, dice in scores.items()
        for seed in range(seeds)
    ]
    images = []
    for number, row in enumerate(rows):
        for at in range(4):
            tp = round(1000 * row["dice"]) - 5 + (7 * at + 3 * number) % 11
            base = {"key": row["key"], "image": f"{data}{at}"}
            images += [
                {**base, "class": 1, "tp": tp, "fp": 1000 - tp, "fn": 1000 - tp, "tn": 5000 + len(data)},
                {**base, "class": 0, "tp": 5000 + len(data), "fp": 1000 - tp, "fn": 1000 - tp, "tn": tp},
            ]
    return Frames(table(*rows, *({**row, "data": data} for row in trivial())), pd.DataFrame(), pd.DataFrame(images))


def demsar() -> dict[str, Frames]:
    return {
        f"study{at:02}": study(f"data{at:02}", {name: scores[at] for name, scores in DEMSAR.items()})
        for at in range(14)
    }


def test_mean_ranks_and_friedman_are_the_published_ones() -> None:
    found = compare(demsar())
    ranks = {network.label: network.mean_rank for network in found.networks if not network.trivial}
    assert ranks == pytest.approx({"C4.5": 3.143, "C4.5+m": 2.000, "C4.5+cf": 2.893, "C4.5+m+cf": 1.964}, abs=5e-4)
    assert [network.label for network in found.networks][:2] == ["C4.5+m+cf", "C4.5+m"]
    assert found.friedman is not None
    expected = friedmanchisquare(*DEMSAR.values())
    assert found.friedman.statistic == pytest.approx(expected.statistic)
    assert found.friedman.p_value == pytest.approx(expected.pvalue)
    # Published without the correction for ties, which raises it: 9.28.
    assert found.friedman.statistic >= 9.28
    assert "ranks differ between networks" in " ".join(findings(found))


def test_networks_are_matched_by_configuration_and_missing_ones_are_said() -> None:
    studies = {
        "one": study("lung", {"a": 0.9, "b": 0.8, "only here": 0.99}),
        "two": study("liver", {"a": 0.6, "b": 0.7}),
    }
    found = compare(studies)
    entries = {network.label: network.entries for network in found.networks}
    assert found.data == ("lung", "liver")
    assert [entry.cell for entry in entries["a"] if entry] == ["lung-a", "liver-a"]
    assert entries["only here"][1] is None
    # The one that is missing somewhere takes no rank from the others.
    assert [entry.rank for entry in entries["a"] if entry] == [1, 2]
    assert {network.label: network.mean_rank for network in found.networks}["only here"] is None
    assert found.friedman is None
    assert "Ranks are among the 2 of 3 networks that every data set has." in found.notes
    assert "not trained" in compare_report(found, {})


def test_scores_have_intervals_where_there_are_seeds() -> None:
    found = compare({"one": study("lung", {"a": 0.9, "b": 0.8}, seeds=3), "two": study("liver", {"a": 0.6, "b": 0.7})})
    one, two = found.networks[0].entries
    assert one is not None
    assert two is not None
    assert (one.seeds, two.seeds) == (3, 1)
    assert one.score.low < one.score.estimate < one.score.high
    assert math.isnan(two.score.low)


def test_ties_share_their_ranks() -> None:
    found = compare(
        {"one": study("lung", {"a": 0.9, "b": 0.9, "c": 0.1}), "two": study("liver", {"a": 0.9, "b": 0.8, "c": 0.1})}
    )
    ranks = {network.label: network.mean_rank for network in found.networks if not network.trivial}
    assert ranks == {"a": 1.25, "b": 1.75, "c": 3.0}


def test_networks_named_differently_are_named_by_what_sets_them_apart() -> None:
    one, two = study("lung", {"a": 0.9, "b": 0.8}), study("liver", {"a": 0.6, "b": 0.7})
    for frames, suffix in ((one, "blur=0"), (two, "blur=1")):
        frames.trials["label"] += f", {suffix}"
        frames.trials["configuration"] = "unet width=" + frames.trials["configuration"].str[-1] + " stages=5"
    labels = [network.label for network in compare({"one": one, "two": two}).networks if not network.trivial]
    assert sorted(labels) == ["U-Net width=a", "U-Net width=b"]


def test_a_study_of_several_data_sets_is_compared_with_itself() -> None:
    one, two = study("lung", {"a": 0.9, "b": 0.8}), study("liver", {"a": 0.6, "b": 0.7})
    both = Frames(*(pd.concat(tables, ignore_index=True) for tables in zip(one[:3], two[:3], strict=True)))
    assert compare({"both": both}).data == ("liver", "lung")


def test_the_same_data_twice_is_said_and_is_no_third_data_set() -> None:
    scores = {"a": 0.9, "b": 0.8, "c": 0.7}
    found = compare({"one": study("lung", scores), "again": study("lung", scores), "two": study("liver", scores)})
    assert found.data == ("one: lung", "again: lung", "liver")
    assert any("again: lung looks like one: lung again" in note for note in found.notes)
    assert found.friedman is None
    assert found.ranked == ("one: lung", "liver")
    assert found.post_hoc is not None
    assert found.post_hoc.data_sets == 2


def test_another_split_of_the_same_data_is_no_further_data_set() -> None:
    whole = study("lung", {"a": 0.9, "b": 0.8})
    part = whole._replace(images=whole.images[whole.images["image"] == "lung0"])
    other = study("lung", {"a": 0.9, "b": 0.8})
    other = other._replace(images=other.images.assign(image="other " + other.images["image"]))
    assert compare({"one": whole, "two": part}).ranked == ("one: lung",)
    assert compare({"one": whole, "two": other}).ranked == ("one: lung", "two: lung")


def test_one_data_set_is_refused_in_a_line() -> None:
    with pytest.raises(InputError, match=r"one: one data set with scored networks \(lung\); expected two or more"):
        compare({"one": study("lung", {"a": 0.9})})
    failed = study("liver", {"a": 0.9})
    failed.trials["state"] = "failed"
    with pytest.raises(InputError, match="no data set with scored networks"):
        compare({"one": failed})


def test_one_shared_network_has_no_rank() -> None:
    found = compare({"one": study("lung", {"a": 0.9, "b": 0.8}), "two": study("liver", {"a": 0.6})})
    assert all(network.mean_rank is None for network in found.networks)
    assert "1 network in every data set: ranks need two." in found.notes


def test_report_escapes_names() -> None:
    hostile = "<script>alert(1)</script>"
    studies = {"one": study(hostile, {hostile: 0.9, "b": 0.8}), "two": study("liver", {hostile: 0.6, "b": 0.7})}
    html = compare_report(compare(studies), {hostile: About(hostile, hostile, (), {hostile: hostile})})
    assert hostile not in html
    assert "&lt;script&gt;alert(1)" in html


def test_command_prints_one_json_document(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import ablate.analysis.frames
    import ablate.runners.cli.compare as command

    class Opened:
        def __init__(self, path: Path) -> None:
            self.path = path
            self.manifest = type("Manifest", (), {"runs": []})()

        def said_of_faults(self) -> list[str]:
            return []

        def sound(self) -> SimpleNamespace:
            return SimpleNamespace(records={})

    frames = {"one": study("lung", {"a": 0.9, "b": 0.8}), "two": study("liver", {"a": 0.6, "b": 0.7}, seeds=2)}
    monkeypatch.setattr(command, "open_study", Opened)
    monkeypatch.setattr(ablate.analysis.frames, "load", lambda opened: frames[opened.path.name])
    answer = CliRunner().invoke(command.compare, ["one", "two", "--json"], catch_exceptions=False)
    document = json.loads(answer.output)
    assert document["data"] == ["lung", "liver"]
    first = document["networks"][0]["entries"]
    assert first["lung"]["score"]["low"] is None
    assert first["liver"]["score"]["low"] < first["liver"]["score"]["estimate"]
    (pair,) = document["post_hoc"]["pairs"]
    assert pair == {
        "a": "a", "b": "b", "better": 1, "worse": 1, "alike": 0, "p_value": 1.0, "p_holm": 1.0, "significant": False
    }  # fmt: skip
    assert document["post_hoc"]["not_told_apart"] == [["a", "b"]]
    assert (document["post_hoc"]["least_p_value"], document["post_hoc"]["data_sets_needed"]) == (0.5, 6)
    text = CliRunner().invoke(command.compare, ["one", "two"], catch_exceptions=False).output
    assert text.count("1.50  |") == 2
    assert max(map(len, text.splitlines())) <= 80
    assert "Best mean rank over 2 data sets" in text


def test_ranks_follow_scores_on_random_tables() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        scores = rng.integers(1, 6, size=(4, 3)) / 10
        found = compare(
            {
                str(at): study(f"d{at}", {name: float(s) for name, s in zip("wxyz", scores[:, at], strict=True)})
                for at in range(3)
            }
        )
        for network in found.networks:
            if not network.trivial:
                row = "wxyz".index(network.label)
                brute = [np.sum(column > column[row]) + (np.sum(column == column[row]) + 1) / 2 for column in scores.T]
                assert [entry.rank for entry in network.entries if entry] == pytest.approx(brute)


def test_networks_without_a_score_have_no_rank() -> None:
    one = study("lung", {"a": 0.9, "b": 0.8, "c": 0.7})
    one.trials.loc[one.trials["label"] == "b", "dice"] = math.nan
    found = compare({"one": one, "two": study("liver", {"a": 0.6, "b": 0.7, "c": 0.5})})
    ranks = {network.label: network.mean_rank for network in found.networks if not network.trivial}
    assert ranks == {"a": 1.0, "b": None, "c": 2.0}
    assert found.post_hoc is not None
    assert found.post_hoc.networks == ("a", "c")


def test_the_page_has_the_packaged_claims_over_all_data_sets() -> None:
    networks = {"pyconvunet": 0.9, "unet": 0.8, "unet_plus_plus": 0.8, "attention_unet": 0.8, "resnet34_unet": 0.8}
    studies = {}
    for data in ("lung", "liver"):
        frames = study(data, networks | {"fcn8s": 0.7}, seeds=2)
        trained = frames.trials["state"] != "trivial"
        frames.trials.loc[trained, "model"] = frames.trials.loc[trained, "label"]
        frames.trials["configuration"] = frames.trials["label"] + " width=32 block=plain"
        studies[data] = frames
    (claim,) = [found for found in applicable(studies) if found.name == "lightweight"]
    assert [result.task for result in claim.results] == ["lung", "liver"]
    html = compare_report(compare(studies), {}, [claim])
    assert "Over 2 data sets the claim is" in html
    assert "On liver the claim is" in html
    assert applicable({"lung": studies["lung"]}) == []
