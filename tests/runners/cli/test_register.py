"""`ablate register`, and what verdicts say of it: by a claim's hash, before or after there were scores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from inside import inside
from made_studies import made_study, trained, trivial

from ablate.analysis.claims.registered import canonical, digest, registered_claims, standing
from ablate.analysis.claims.schema import Claim, load_claim
from ablate.analysis.frames import load
from ablate.analysis.report.evidence import evidence
from ablate.study.registrations import FILE
from ablate.study.study import Study

CLAIM = """\
name: mine
statement: A U-Net is no larger than itself.
subject: {model: unet, width: 4}
against: [{model: unet, width: 8}, {model: fcn8s}]
hypotheses:
  - {kind: fewest, cost: params}
  - {kind: non_inferior, metric: dice, margin: 0.01}
"""


@pytest.fixture
def claim(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(CLAIM)
    return path


@pytest.fixture(scope="module")
def made():
    one = trained()
    return [one, *trivial(one)]


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("mine", "another name", True),
        ("no larger", "not larger", True),
        ("{model: unet, width: 4}", '\n  width: "4"\n  model: unet', True),
        ("[{model: unet, width: 8}, {model: fcn8s}]", "[{model: fcn8s}, {width: 8, model: unet}]", True),
        ("margin: 0.01", "margin: 0.010", True),
        ("kind: non_inferior, metric: dice", "kind: non_inferior, metric: dice, failures: {tolerance: 0.1}", True),
        ("margin: 0.01", "margin: 0.011", False),
        ("metric: dice", "metric: iou", False),
        ("width: 8", "width: 16", False),
        ("  - {kind: fewest, cost: params}\n", "", False),
        ("hypotheses:", "empty: skip\nhypotheses:", False),
    ],
)
def test_a_claim_is_known_again_by_what_it_asks_not_by_how_it_is_written(claim, tmp_path, old, new, same):
    other = tmp_path / "other.yaml"
    assert old in CLAIM
    other.write_text(CLAIM.replace(old, new, 1))
    assert (digest(load_claim(str(claim))) == digest(load_claim(str(other)))) is same


def test_the_canonical_text_has_only_what_decides(claim):
    found = json.loads(canonical(load_claim(str(claim))))
    assert set(found) == {"subject", "against", "hypotheses"}
    assert found["subject"] == {"model": "unet", "width": "4"}


def test_a_claim_registered_in_a_new_study_is_before_the_first_score_and_stays_so(capsys, claim, tmp_path, made):
    path = tmp_path / "study"
    first = inside(capsys, "register", str(claim), str(path), "--by", "A. Author", "--json")
    said = json.loads(first.out)
    assert said["before_the_first_test_score"] is True
    assert said["sha256"] == digest(load_claim(str(claim)))
    kept = (path / FILE).read_bytes()
    study = made_study(path, *made)
    again = inside(capsys, "register", str(claim), str(path))
    assert "Registered before the first test score" in again.out
    assert "A. Author" in again.out
    assert (path / FILE).read_bytes() == kept  # the first time counts
    judged = inside(capsys, "claim", str(path), "--claim", str(claim))
    assert "Registered before the first test score" in judged.out
    document = json.loads(inside(capsys, "claim", str(path), "--claim", str(claim), "--json").out)
    (stand,) = document["registered"].values()
    assert stand["before_the_first_test_score"] is True
    results = evidence(study, load(study)).claims
    assert [one.statement for one in registered_claims(study)] == ["A U-Net is no larger than itself."]
    assert all(one.registered for one in results)


def test_a_claim_registered_once_there_are_scores_is_said_to_be_written_after(capsys, claim, tmp_path, made):
    study = made_study(tmp_path / "study", *made)
    unregistered = inside(capsys, "claim", str(study.path), "--claim", str(claim))
    assert "Written after: it is not registered in this study." in unregistered.out
    said = json.loads(inside(capsys, "register", str(claim), str(study.path), "--json").out)
    assert said["before_the_first_test_score"] is False
    assert said["scored_trials"] == 1
    printed = inside(capsys, "claim", str(study.path), "--claim", str(claim)).out
    assert "Written after: registered when 1 trial had test scores" in " ".join(printed.split())


def test_scores_of_other_networks_are_no_scores_of_the_claim_s(capsys, claim, tmp_path, made):
    study = made_study(tmp_path / "study", *made)
    claim.write_text(CLAIM.replace("unet, width: 4", "attention_unet").replace("unet, width: 8", "unet, width: 99"))
    said = json.loads(inside(capsys, "register", str(claim), str(study.path), "--json").out)
    assert said["before_the_first_test_score"] is True


def test_how_many_claims_were_registered_is_said(capsys, claim, tmp_path):
    path = tmp_path / "study"
    inside(capsys, "register", str(claim), str(path))
    claim.write_text(CLAIM.replace("margin: 0.01", "margin: 0.02"))
    printed = inside(capsys, "register", str(claim), str(path)).out
    assert "one of 2 claims registered here" in " ".join(printed.split())


def test_what_was_changed_by_hand_counts_as_not_registered(capsys, claim, tmp_path):
    path = tmp_path / "study"
    inside(capsys, "register", str(claim), str(path))
    for name in (FILE, f"{FILE}.copy"):
        file = path / name
        file.write_bytes(file.read_bytes().replace(b'"scored":0', b'"scored":1'))
    found = standing(Study.open(path), load_claim(str(claim)))
    assert found.entry is None
    assert "line 1 is not what was written" in found.sentence
    ended = inside(capsys, "register", str(claim), str(path))
    assert (ended.code, ended.line.count("\n")) == (2, 0)
    assert "ablate verify" in ended.line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.yaml", "{study}"], "nowhere.yaml"),
        (["{claim}", "{claim}"], "neither a study nor an empty directory"),
    ],
)
def test_what_cannot_be_registered_is_one_line_and_leaves_nothing(capsys, claim, tmp_path, arguments, message):
    path = tmp_path / "study"
    ended = inside(capsys, "register", *(one.format(claim=claim, study=path) for one in arguments))
    assert ended.code == 2
    assert message in ended.line
    assert not path.exists()


def test_a_claim_of_another_class_or_choice_of_empty_masks_is_another_claim():
    base = Claim.model_validate(
        {
            "name": "c",
            "statement": "s",
            "subject": {"model": "a"},
            "hypotheses": [{"kind": "superior", "metric": "dice"}],
        }
    )
    assert len({digest(base), digest(base.about("liver")), digest(base.about("", "skip"))}) == 3
