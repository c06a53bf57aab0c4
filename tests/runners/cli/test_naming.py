"""A study, a cell and a trial are named the same way in every command, and a wrong name gets the same line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from in_process import called
from searched_studies import Made, run_of, searched_study, take_in

from ablate.errors import InputError
from ablate.runners.cli.naming import cell_named, study_named, trial_named, trials_named
from ablate.study.study import Study

CURVE = [0.1, 0.2, 0.3, 0.4]
SMALL, LARGE, GRID = Made(2, CURVE), [Made(4, [0.2, 0.4, 0.6, 0.8]), Made(4, CURVE, seed=1)], Made(8, CURVE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with studies `widths-mni152-quick` and `widths-isbi2012-quick` in studies/: a search, and a grid."""
    folder = tmp_path_factory.mktemp("work")
    study = searched_study(folder / "studies" / "widths-mni152-quick", SMALL, *LARGE)
    with study.writing():
        study.plan(run_of(GRID, space="grid", design="grid"), threads=1, data_dir=None)
        take_in(study, GRID)
    searched_study(folder / "studies" / "widths-isbi2012-quick", SMALL)
    (folder / "studies" / "notes").mkdir()
    return folder


@pytest.fixture(autouse=True)
def _there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


@pytest.fixture(scope="module")
def study(folder: Path) -> Study:
    return Study.open(folder / "studies" / "widths-mni152-quick")


# Studies -------------------------------------------------------------------------------------------------------------


def test_a_study_is_its_path_its_name_or_the_beginning_of_that(folder: Path) -> None:
    there = Path("studies/widths-mni152-quick")
    for name in ("widths-mni152-quick", "widths-m", "studies/widths-mni152-quick", "./studies/widths-mni152-quick"):
        assert study_named(name) == there
    assert study_named(str(folder / there)) == folder / there
    with pytest.raises(InputError, match="study 'widths' begins widths-isbi2012-quick, widths-mni152-quick in 'studi"):
        study_named("widths")


def test_a_path_that_leads_to_a_study_comes_before_a_name(folder: Path) -> None:
    searched_study(folder / "here" / "widths-mni152-quick", SMALL)
    (folder / "here" / "studies").symlink_to(folder / "studies")
    (folder / "here" / "widths-isbi2012-quick").mkdir()  # is no study
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder / "here")
        assert study_named("widths-mni152-quick") == Path("widths-mni152-quick")
        assert study_named("widths-isbi2012-quick") == Path("studies/widths-isbi2012-quick")


def test_what_may_be_begun_is_named_whole(folder: Path) -> None:
    assert study_named("widths-m", begun=True) == Path("widths-m")
    assert study_named("widths-mni152-quick", begun=True) == Path("studies/widths-mni152-quick")
    assert study_named("new", begun=True) == Path("new")


OF_A_STUDY = [
    ("status", "S"),
    ("status", "S", "--watch"),
    ("verify", "S"),
    ("export", "S", "--table", "trials"),
    ("export", "S", "--to", "optuna", "sqlite:///x.db"),
    ("pareto", "S"),
    ("report", "S"),
    ("figure", "S", "front", "-o", "f.pdf"),
    ("measure", "S"),
    ("effects", "S"),
    ("claim", "S"),
    ("claim", "S", "--subject", "n1"),
    ("power", "lightweight", "--pilot", "S"),
    ("table", "S"),
    ("compare", "S"),
    ("confirm", "S"),
    ("replay", "S"),
    ("dashboard", "S"),
    ("predict", "S", "best", "a.png", "-o", "out"),
    ("export-model", "S", "best", "-o", "net.onnx"),
]


@pytest.mark.parametrize("command", OF_A_STUDY, ids=" ".join)
def test_every_command_says_the_same_of_a_study_that_is_none(command: tuple[str, ...], tmp_path: Path) -> None:
    def of(name: str) -> tuple[str, ...]:
        return tuple(name if one == "S" else one for one in command)

    wrong = called(*of("widths-mni15-quick"))
    assert (wrong.code, wrong.out) == (2, "")
    assert wrong.err == (
        "ablate: 'widths-mni15-quick' is not a study (there is no such folder): did you mean 'widths-mni152-quick'?\n"
    )
    several = called(*of("widths"))
    assert (several.code, several.out, several.err.count("\n")) == (2, "", 1)
    assert several.err.startswith("ablate: study 'widths' begins widths-isbi2012-quick, widths-mni152-quick in ")
    empty = called(*of("studies/notes"))
    assert (empty.code, empty.out) == (2, "")
    assert empty.err == ("ablate: 'studies/notes' is not a study (it has no study.yaml): give the directory of a run\n")


def test_by_its_name_a_study_is_found() -> None:
    found = called("status", "widths-m", "--json")
    assert json.loads(found.out)["study"] == "studies/widths-mni152-quick"


# Cells and trials ----------------------------------------------------------------------------------------------------


def test_a_trial_is_its_key_its_cell_or_the_best(study: Study) -> None:
    key, cell = GRID.config.key, GRID.config.cell
    for name in (key, key[:5], cell, cell[:5], "width=8"):
        assert trial_named(study, name) == key
    assert trial_named(study, "n1") == SMALL.config.key
    assert trial_named(study, "best") == GRID.config.key  # of the latest space


def test_a_cell_is_its_key_its_short_name_or_its_label(study: Study) -> None:
    for name in (LARGE[0].config.cell, LARGE[0].config.cell[:5], "n2"):
        assert cell_named(study, name) == LARGE[0].config.cell
        assert set(trials_named(study, name)) == {one.config.key for one in LARGE}
    assert trials_named(study, "width=8") == [GRID.config.key]


def test_a_cell_of_several_trials_is_no_trial_and_lists_them(study: Study) -> None:
    keys = ", ".join(sorted(one.config.key for one in LARGE))
    with pytest.raises(InputError, match=rf"n2 has 2 complete trials: give the key of one \({keys}\)$"):
        trial_named(study, "n2")
    said = called("predict", "widths-m", "n2", "a.png", "-o", "out").err
    assert said == f"ablate: n2 has 2 complete trials: give the key of one ({keys}), or --cell n2 for all\n"


def test_a_name_that_nothing_has_is_answered_by_the_nearest_or_by_where_names_are_listed(study: Study) -> None:
    with pytest.raises(InputError, match=r"unknown trial 'width=9': did you mean 'width=8'\?"):
        trial_named(study, "width=9")
    with pytest.raises(InputError, match=r"unknown cell 'zzzz': give a key or a name that `ablate status .*` lists$"):
        cell_named(study, "zzzz")
    with pytest.raises(InputError, match=r"unknown trial 'bst': did you mean 'best'\?"):
        trial_named(study, "bst")
    for command, *rest in (("export-model", "-o", "x.onnx"), ("predict", "a.png", "-o", "out")):
        assert (
            called(command, "widths-m", "width=9", *rest).err
            == "ablate: unknown trial 'width=9': did you mean 'width=8'?\n"
        )


# Claims --------------------------------------------------------------------------------------------------------------

CLAIM = """\
name: mine
statement: Mine has fewer parameters.
subject: {model: unet}
against: [{label: n1}]
hypotheses:
  - {kind: fewest, cost: params}
"""


@pytest.fixture
def claim(tmp_path: Path) -> Path:
    (tmp_path / "mine.yaml").write_text(CLAIM)
    return tmp_path / "mine.yaml"


def test_a_claim_that_fits_several_cells_says_which_and_how_to_choose(claim: Path) -> None:
    said = called("claim", "widths-m", "--claim", claim)
    assert (said.code, said.out) == (2, "")
    found = re.fullmatch(
        r"ablate: claim mine: subject unet is 3 cells of phantom \((.*), (.*) and (.*)\): choose one by --subject, "
        r"or one space by --space\n",
        said.err,
    )
    assert found
    assert set(found.groups()) == {"n1 of s", "n2 of s", "width=8 of grid"}


def test_a_claim_is_judged_of_the_cell_or_the_space_that_is_chosen(claim: Path) -> None:
    chosen = json.loads(called("claim", "widths-m", "--claim", claim, "--subject", "width=8", "--json").out)
    (result,) = chosen["results"]
    assert result["verdicts"][0]["sentence"].startswith("width=8 does not have the fewest parameters of 2 networks")
    by_space = json.loads(called("claim", "widths-m", "--claim", claim, "--space", "grid", "--json").out)
    (result,) = by_space["results"]
    assert result["outcome"] == "inconclusive", "its rival is in the other space"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--space", "gird"), "unknown space 'gird': did you mean 'grid'?"),
        (("--subject", "n9"), "unknown cell 'n9': did you mean 'n"),
        (("--subject", "width=9"), "unknown cell 'width=9': did you mean 'width=8'?"),
    ],
)
def test_what_a_claim_cannot_choose_is_one_line(options: tuple[str, ...], said: str, claim: Path) -> None:
    found = called("claim", "widths-m", "--claim", claim, *options)
    assert (found.code, found.out, found.err.count("\n")) == (2, "", 1)
    assert said in found.err
    several = called("claim", "widths-m", "widths-i", "--subject", "n1")
    assert several.err == "ablate: --subject n1: is a cell of one study; give one, or a claim of your own\n"
