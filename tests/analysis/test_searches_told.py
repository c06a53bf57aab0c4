"""What a study's searches spent on what: in tables, figures, the report, and in a line."""

from __future__ import annotations

import io
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from searched_studies import Made, journal, run_of, searched_study, take_in

from ablate.analysis.by_seed import by_seed
from ablate.analysis.claims.judge import select
from ablate.analysis.compare import compare
from ablate.analysis.figures.curves import curves, curves_figure
from ablate.analysis.figures.pareto import pareto_figure
from ablate.analysis.figures.search import path_figure, spending_figure
from ablate.analysis.frames import load
from ablate.analysis.pareto import fronts
from ablate.analysis.report.content import About, Content, Evidence
from ablate.analysis.report.sections.search import Searches, networks_table
from ablate.analysis.search_words import called, standing
from ablate.analysis.searches import searched_networks, spendings
from ablate.analysis.summary import front_summary
from ablate.runners.cli.pareto import pareto as pareto_command
from ablate.runners.cli.status import status as status_command
from ablate.study.searches import searches
from ablate.study.study import Study

CURVE = [0.5, 0.6, 0.7, 0.8]
MADE = (
    Made(4, CURVE),  # n1, of two seeds
    Made(4, [0.4, 0.5, 0.6, 0.7], seed=1),
    Made(2, [0.3, 0.4], state="stopped"),  # n2
    Made(8, [0.2], state="failed"),  # n3
    Made(16, [0.4, 0.5, 0.6, 0.65]),  # n4: dearer than n1, and worse
    Made(3, [0.1], state="stopped"),  # n5
)


def went(one: Made) -> str:
    return json.dumps({"event": "went", "cell": one.config.cell, "until": 1, "choice": {}})


def saw(one: Made, epoch: int) -> str:
    return json.dumps({"event": "saw", "key": one.config.key, "epoch": epoch, "score": 0.5, "seconds": 2.0})


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    study = searched_study(tmp_path_factory.mktemp("searched") / "study", *MADE)
    first, again, stopped, failed, dear, early = MADE
    journal(
        study, went(first), saw(first, 1), saw(again, 1), went(stopped), saw(stopped, 1), went(failed), went(dear),
        saw(dear, 1), saw(stopped, 2), went(early), saw(early, 1), saw(first, 4), saw(again, 4), saw(dear, 4),
        '{"event":"ended","why":"little is left to gain"}',
    )  # fmt: skip
    return study


def test_networks_are_told_by_what_became_of_them_and_what_they_took(study: Study) -> None:
    found = {one.named.name: one for one in searched_networks(study, load(study))}
    assert {name: one.fate for name, one in found.items()} == {
        "n1": "on the front", "n2": "stopped at epoch 2", "n3": "failed", "n4": "finished, off the front",
        "n5": "stopped at epoch 1",
    }  # fmt: skip
    assert {name: (one.seeds, one.epochs, one.seconds) for name, one in found.items()} == {
        "n1": (2, 8, 16.0), "n2": (1, 2, 4.0), "n3": (1, 1, 2.0), "n4": (1, 4, 8.0), "n5": (1, 1, 2.0),
    }  # fmt: skip
    assert found["n1"].val_dice == pytest.approx((0.8 + 0.7) / 2)
    assert math.isnan(found["n2"].dice)
    assert found["n4"].named.levels == {"model.width": "16"}


def test_all_that_was_trained_was_spent_and_the_path_is_that_of_the_rungs(study: Study) -> None:
    frames = load(study)
    (found,) = spendings(study, frames)
    assert found.seconds == pytest.approx(frames.epochs["seconds"].sum())
    assert found.epochs == len(frames.epochs) == 16
    assert (found.kept, found.under_way) == (0, 0)
    names = [one.network for one in found.path]
    assert names == ["n1", "n1", "n2", "n4", "n2", "n5", "n1", "n1", "n4", "n3"]
    assert [one.seconds for one in found.path] == list(np.cumsum([2, 2, 2, 2, 2, 2, 6, 6, 6, 2]))
    assert found.path[0].share == 0  # n1 has a score of one seed alone
    assert found.path[-1].share == 1
    assert found.path[-1].seconds == found.seconds


def test_the_hypervolume_of_one_network_is_that_of_its_mean_above_the_trivial_bar(tmp_path: Path) -> None:
    """Of two networks of one price, by hand: the dearest bounds the box, so both have one width."""
    study = searched_study(tmp_path / "study", Made(4, CURVE))
    journal(study, went(MADE[0]), *(saw(MADE[0], epoch) for epoch in (1, 2, 4)))
    (found,) = spendings(study, load(study))
    assert [one.share for one in found.path] == pytest.approx([0.5 / 0.8, 0.6 / 0.8, 1.0])


def test_what_two_searches_propose_was_paid_for_by_the_first(tmp_path: Path) -> None:
    study = searched_study(tmp_path / "study", Made(4, CURVE), Made(2, CURVE))
    journal(study, went(Made(4, ())), went(Made(2, ())), name="s-quick-freeze_thaw-1")
    journal(study, went(Made(2, ())), went(Made(6, ())), name="s-quick-freeze_thaw-0")
    first, second = spendings(study, load(study))
    assert (first.search.seed, [one.named.name for one in first.networks]) == ("1", ["n1", "n2"])
    assert (second.networks, second.path, second.kept, second.under_way) == ((), (), 1, 1)


def test_what_a_plan_had_trained_before_costs_the_search_nothing(tmp_path: Path) -> None:
    study = Study.open_or_new(tmp_path / "study")
    with study.writing():
        for made, design in ((Made(4, CURVE), "grid"), (Made(2, CURVE), "search")):
            study.plan(run_of(made, design=design), threads=1, data_dir=None)
            take_in(study, made)
    journal(study, went(Made(4, ())), went(Made(2, ())))
    frames = load(study)
    assert dict(frames.trials[["cell", "label"]].itertuples(index=False)) == {
        Made(4, ()).config.cell: "width=4", Made(2, ()).config.cell: "n1",
    }  # fmt: skip
    (found,) = spendings(study, frames)
    assert ([one.named.name for one in found.networks], found.kept) == (["n1"], 1)


def test_what_a_search_goes_by_is_told(tmp_path: Path) -> None:
    study = searched_study(tmp_path / "study", Made(4, CURVE))
    learnt = json.dumps({"event": "learnt", "studies": {"last_year": [], "elsewhere": []}})
    journal(study, learnt, name="s-quick-freeze_thaw-params+latency_ms-within_latency_ms-learnt_0a1b2c3d-7")
    (found,) = searches(study)
    assert called(found) == (
        "s (quick profile), --search (by params and latency_ms, within bounds of latency_ms, learning from last_year "
        "and elsewhere), seed 7"
    )


def test_a_samplers_search_is_told_in_the_order_of_its_proposals(tmp_path: Path) -> None:
    made = Made(4, CURVE), Made(2, CURVE)
    study = searched_study(tmp_path / "study", *made)
    journal(study, *(json.dumps({"number": at, "cell": one.config.cell}) for at, one in enumerate(made)),
            name="s-quick-tpe-0")  # fmt: skip
    (found,) = spendings(study, load(study))
    assert [(one.network, one.epoch, one.epochs) for one in found.path] == [("n1", 4, 4), ("n2", 4, 8)]
    assert standing(found.search, study.records()) == (
        "Search of s (quick profile), --sampler tpe, seed 0: 2 configurations begun, 2 trained to their end; "
        "a sampler's search ends with its number of trials, or its budget"
    )


# Shown ---------------------------------------------------------------------------------------------------------------


def test_figures_name_networks_in_their_order_and_tell_their_configurations(study: Study) -> None:
    frames = load(study)
    (found,) = spendings(study, frames)
    bars = spending_figure(found)
    assert list(bars.layout.xaxis.categoryarray) == ["n1", "n2", "n3", "n4", "n5"]
    assert {name: second for trace in bars.data for name, second in zip(trace.x, trace.y, strict=True)} == {
        "n1": 16, "n2": 4, "n3": 2, "n4": 8, "n5": 2,
    }  # fmt: skip
    assert [trace.name for trace in bars.data] == [
        "on the front (1)", "finished, off the front (1)", "stopped at epoch 2 (1)", "stopped at epoch 1 (1)",
        "failed (1)",
    ]  # fmt: skip
    assert len({(trace.marker.color, trace.marker.pattern.shape) for trace in bars.data}) == len(bars.data)
    assert "width=16" in bars.data[1].customdata[0]
    line = path_figure(found.path).data[0]
    assert (line.x[0], line.y[0], line.x[-1], line.y[-1]) == (0, 0, 32, 1)
    for figure in (
        pareto_figure(fronts(by_seed(frames)), named=frames.named),
        curves_figure(curves(frames)),
    ):
        hover = " ".join(str(trace.customdata or trace.text) for trace in figure.data)
        assert re.search("<b>n4</b>[^']*<br>width=16", hover)


def section(study: Study) -> str:
    content = Content(load(study), About("", "", (), {}), Evidence(), (), study)
    return "".join(part() for part in Searches().parts(content))


def test_the_report_has_each_search_and_what_names_stand_for(study: Study) -> None:
    shown = section(study)
    assert "5 configurations begun, 32.0 s of training in 16 epochs. Ended: little is left to gain." in shown
    table = networks_table(searched_networks(study, load(study)))
    assert [header.text for header in table.headers][-1] == "width"
    assert table.headers[-1].number
    assert [row.places[0].text for row in table.rows] == ["n1", "n2", "n3", "n4", "n5"]
    assert [row.places[-1].sort for row in table.rows] == ["4", "2", "8", "16", "3"]
    assert "width=16" in shown


def test_a_damaged_memory_is_one_line_in_the_report_and_the_names_stay(tmp_path: Path) -> None:
    study = searched_study(tmp_path / "study", Made(4, CURVE))
    file = journal(study, went(MADE[0]), '{"event":"ended","why":"enough"}')
    file.write_bytes(file.read_bytes().replace(b"went", b"sent"))
    shown = section(study)
    assert "freeze_thaw-0.jsonl&#39; is damaged: what it did is not known" in shown
    assert "Networks that were searched" in shown
    assert "could not be made" not in shown
    assert "damaged" in standing(searches(study)[0], study.records())


def test_a_study_without_searches_has_no_such_section(tmp_path: Path) -> None:
    study = Study.open_or_new(tmp_path / "study")
    with study.writing():
        study.plan(run_of(MADE[0], design="grid"), threads=1, data_dir=None)
        take_in(study, MADE[0])
    assert section(study) == ""
    assert load(study).named == {}


def summary(study: Study) -> str:
    frames, out = load(study), io.StringIO()
    front_summary(by_seed(frames), Console(file=out, width=80), named=frames.named)
    return out.getvalue()


def test_the_terminal_tells_what_the_names_on_the_front_stand_for(study: Study) -> None:
    lines = summary(study).splitlines()
    assert [line.split() for line in lines if "width=" in line] == [["n1", "width=4"]]
    assert max(map(len, lines)) <= 80


def test_commands_have_names_and_levels_as_json_too(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    pareto_command.callback(  # type: ignore[misc]
        study=study.path, x="params", y="dice", resamples=10, output=None, of_class="", empty=None, fail_below=None,
        unit=None, runtime=None, as_json=True,
    )  # fmt: skip
    points = {one["label"]: one for one in json.loads(capsys.readouterr().out)["points"]}
    assert (points["n4"]["name"], points["n4"]["levels"]) == ("n4", {"model.width": "16"})
    status_command.callback(study=study.path, watch=False, as_json=True)  # type: ignore[misc]
    trials = json.loads(capsys.readouterr().out)["trials"]
    assert sorted(trial["name"] for trial in trials) == ["n1", "n1", "n2", "n3", "n4", "n5"]
    status_command.callback(study=study.path, watch=False, as_json=False)  # type: ignore[misc]
    said = capsys.readouterr().out
    assert "Search of s (quick profile), --search, seed 0: 5 configurations begun, 2" in said
    assert "little is left to gain" in " ".join(said.split())


# Where names are the study's own -------------------------------------------------------------------------------------


def test_a_claim_may_name_a_network_by_its_short_name_or_by_its_levels_as_before(study: Study) -> None:
    rows = load(study).trials.drop_duplicates("cell")
    cell = MADE[4].config.cell
    assert select(rows, {"label": "n4"}) == select(rows, {"label": "width=16"}) == [cell]
    assert select(rows, {"label": "n44"}) == []


def test_several_studies_are_compared_by_what_networks_are_and_not_by_their_names(tmp_path: Path) -> None:
    one = load(searched_study(tmp_path / "one", Made(4, CURVE), Made(2, CURVE)))
    other = load(searched_study(tmp_path / "other", Made(2, CURVE), Made(4, CURVE)))
    found = compare({"one": one, "other": other._replace(trials=other.trials.assign(data="other"))})
    networks = {network.label: network for network in found.networks if not network.trivial}
    assert networks.keys() == {"width=2", "width=4"}
    for width in (2, 4):
        cells = [entry.cell for entry in networks[f"width={width}"].entries if entry]
        assert cells == [Made(width, ()).config.cell] * 2
