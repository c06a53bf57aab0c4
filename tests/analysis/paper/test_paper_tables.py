"""Tables 2 and 3 of the paper, of a study: its own numbers, and beneath or beside them what was published."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
import tifffile
import torch
from commands import ablate
from made_studies import Trained, made_study, packed, trained

from ablate.analysis.frames import load
from ablate.analysis.paper.published import TABLE_1
from ablate.analysis.paper.tables import MARK, PUBLISHED, Held, _fewest_bold, paper_table_2, paper_table_3
from ablate.analysis.paper.typeset import comma_separated, latex, markdown
from ablate.data.load import load_data
from ablate.data.settings import Isbi2012, Split
from ablate.errors import InputError
from ablate.models.network import network
from ablate.study.runs import Run
from ablate.study.study import Study
from ablate.training.loop import judge_trivial, train
from ablate.trial import Protocol, TrialConfig

NETWORKS = {"pyconvunet": network("pyconvunet"), "unet": network("unet"), "small": network("unet", width=2, stages=2)}


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    """Two of the paper's networks and one that is not, once each on ten small images in the layout of ISBI 2012."""
    torch.set_num_threads(1)
    home, random = tmp_path_factory.mktemp("isbi"), np.random.default_rng(0)
    masks = np.where(random.random((10, 16, 16)) < 0.8, 255, 0).astype(np.uint8)
    tifffile.imwrite(home / "train-volume.tif", (masks // 2 + random.integers(0, 60, masks.shape)).astype(np.uint8))
    tifffile.imwrite(home / "train-labels.tif", masks)
    dataset = load_data(Isbi2012(root=home, size=(16, 16)))
    made = {}
    for name, model in NETWORKS.items():
        trial = TrialConfig(
            model=model, data=dataset.config, protocol=Protocol(epochs=1, augment=(), split=Split(shuffle=False))
        )
        made[name] = Trained(trial, dataset, train(trial, dataset, device=torch.device("cpu")))
    levels = {one.trial.key: {"network": name} for name, one in made.items()}
    run = Run(
        space="nets", question="Which?", profile="quick", design="grid", factors={"network": list(NETWORKS)},
        definition={}, trials=levels,
    )  # fmt: skip
    found = Study.open_or_new(home / "study")
    with found.writing():
        found.plan(run, threads=1, data_dir=None)
        for one in made.values():
            found.accept(one.trial.key, packed(one, params=1000, macs=2000))
        for trial in made["unet"].trial.trivial():
            own = Trained(trial, dataset, judge_trivial(trial, dataset))
            found.accept(trial.key, packed(own, params=0, macs=0))
    return found


@pytest.fixture(scope="module")
def held(study) -> Held:
    return Held(study, load(study), {"Split": "as it was"}, ["a note"])


def test_table_2_has_each_network_in_the_papers_order_and_what_was_published_beneath(held):
    table = paper_table_2([held])
    named = [(row.name, row.source) for row in table.rows]
    assert named[:5] == [
        ("U-Net", "here"), ("published", "published"), ("small", "here"), ("PyConvU-Net", "here"),
        ("published", "published"),
    ]  # fmt: skip
    assert {source for _, source in named[5:]} == {"trivial"}
    assert [place.value for place in table.rows[1].places] == [0.7742, 0.8639]
    assert [place.value for place in table.rows[4].places] == [0.8385, 0.9117]
    trials = held.frames.trials.set_index("label")
    for row, label in ((table.rows[0], "unet"), (table.rows[2], "small"), (table.rows[3], "pyconvunet")):
        assert [place.value for place in row.places] == pytest.approx(list(trials.loc[label, ["iou", "dice"]]))
    assert table.groups == (("isbi2012", ("IoU", "Dice")),)
    assert "a note" in table.caption
    assert "Split: as it was." in table.details


def test_an_impossible_pair_is_marked_and_said(held, monkeypatch):
    monkeypatch.setitem(TABLE_1, "kaggleLung", TABLE_1["kaggleLung"]._replace(source="isbi2012"))
    table = paper_table_2([held])
    marks = {row.places[0].value: row.places[0].mark for row in table.rows if row.source == PUBLISHED}
    assert marks == {0.7279: "", 0.9630: MARK}
    assert any(sentence.startswith(f"{MARK}: no masks have this pair") for sentence in table.caption)


def test_table_3_counts_at_the_papers_input_what_the_paper_published(held):
    rows = {row.name: [place.value for place in row.places] for row in paper_table_3([held]).rows}
    here, counted, published = rows["U-Net"][:3]
    assert (here, round(counted, 2), published) == (0.001, 7.77, 7.77)
    assert [round(value, 2) for value in rows["U-Net"][4:]] == [48.57, 48.57]
    assert [round(value, 2) for value in rows["PyConvU-Net"][1:3]] == [5.39, 3.7]
    assert np.isnan(rows["small"][2])
    marks = {row.name: row.places[2].mark for row in paper_table_3([held]).rows}
    assert marks == {"U-Net": "", "small": "", "PyConvU-Net": MARK}


def test_the_fewest_are_bold_where_several_are_known(held):
    table = paper_table_3([held])
    published = {row.name: row.places[2].best for row in table.rows}
    assert published == {"U-Net": False, "small": False, "PyConvU-Net": True}
    assert [row.places[1].best for row in table.rows if row.name == "small"] == [True]
    alone = _fewest_bold([row for row in table.rows if row.name != "U-Net"])
    assert not any(row.places[2].best for row in alone), "one published figure is no comparison"


def test_two_studies_of_one_data_set_are_refused(held):
    with pytest.raises(InputError, match="two of the studies are of isbi2012"):
        paper_table_2([held, held])


def test_the_renderings_hold_the_same_numbers(held):
    table = paper_table_2([held])
    rows = list(csv.DictReader(io.StringIO(comma_separated(table))))
    assert [(row["network"], row["source"]) for row in rows[:2]] == [("U-Net", "here"), ("U-Net", "published")]
    assert rows[1]["isbi2012 Dice"] == "0.8639"
    for text in (latex(table), markdown(table)):
        assert "0.8639" in text
        assert f"{float(rows[0]['isbi2012 Dice']):.3f}" in text


def test_the_command_writes_them(study, tmp_path):
    ablate("table", study.path, "--as", "paper-table-2", "-o", tmp_path / "two.tex")
    assert r"\textit{\quad published}" in (tmp_path / "two.tex").read_text()
    assert "| U-Net |" in ablate("table", study.path, "--as", "paper-table-3").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--as", "paper-table-2", "--metrics", "dice"), "leave out --metrics"),
        (("--as", "paper-table-4"), "paper-table-4"),
        (("--as", "paper-table-2", "-o", "x.pdf"), "must end in that"),
    ],
)
def test_what_cannot_be_asked_of_them_is_said(arguments, said, study):
    done = ablate("table", study.path, *arguments, check=False)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_study_without_the_papers_networks_is_told_which_command_has_them(tmp_path):
    study = made_study(tmp_path / "study", trained())
    with pytest.raises(InputError, match="`ablate run --space baselines` trains all six"):
        paper_table_3([Held(study, load(study))])
