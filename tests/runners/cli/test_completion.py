"""What a shell completes, through click's own mechanism."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from commands import ABLATE
from searched_studies import Made, run_of, searched_study, take_in
from test_what_commands_load import HEAVY

from ablate.analysis.claims.schema import packaged as claims
from ablate.analysis.printed.figures import FIGURES
from ablate.kinds import KINDS, own_parts
from ablate.runners.cli.main import ablate
from ablate.search_spaces.space import packaged


def completed(*arguments: str) -> set[str]:
    """What the last of these may become."""
    found = ShellComplete(ablate, {}, "ablate", "_ABLATE_COMPLETE").get_completions(list(arguments[:-1]), arguments[-1])
    return {one.value for one in found if one.type == "plain"}


def test_spaces() -> None:
    assert completed("plan", "--space", "") == set(packaged())
    assert completed("run", "--space", "pyr") == {"pyramid_levels", "pyramid_shares"}
    assert completed("cost", "--space", "base") == {"baselines"}


def test_kinds_and_parts() -> None:
    every = {name for kind in KINDS.values() for name in own_parts(kind)}
    assert completed("check", "") == every
    assert completed("check", "unet", "--kind", "") == set(KINDS)
    assert completed("parts", "") == every | set(KINDS) | {"protocol", "data"}
    assert completed("plan", "--model", "pyc") == {"pyconvunet"}
    assert completed("run", "--data", "phan") == {"phantom"}


def test_fields() -> None:
    assert completed("plan", "--set", "protocol.ep") == {"protocol.epochs="}
    assert "protocol.split.fold=" in completed("plan", "--set", "protocol.split.f")
    assert completed("plan", "--set", "model.w") == set()
    assert completed("plan", "--model", "pyconvunet", "--set", "model.w") == {"model.width="}
    assert completed("plan", "--space", "kernel_sizes", "--set", "model.sh") == {"model.share="}
    assert completed("plan", "--space", "boundary_blur", "--set", "data.bl") == {"data.blur="}
    assert completed("cost", "--model", "unet", "--set", "model.st") == {"model.stages="}
    assert completed("check", "unet", "--set", "st") == {"stages="}


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "--space", "nothing.yaml", "--set", "model."),
        ("check", "no_such_part", "--set", "x"),
        ("check", "evil:Net", "--set", "x"),
        ("plan", "--model", "evil:Net", "--set", "model."),
        ("nonsense", "--set", ""),
    ],
)
def test_what_cannot_be_completed_says_nothing_and_imports_nothing(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "evil.py").write_text("raise RuntimeError('imported')")
    monkeypatch.chdir(tmp_path)
    assert all(one in arguments or one not in ("x", "model.") for one in completed(*arguments))


# Of what a user has --------------------------------------------------------------------------------------------------

SEARCHED, PLANNED = Made(2, [0.1, 0.2]), Made(8, [0.1, 0.3])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study `widths` in studies/: n1, and width=8."""
    folder = tmp_path_factory.mktemp("work")
    study = searched_study(folder / "studies" / "widths", SEARCHED)
    with study.writing():
        study.plan(run_of(PLANNED, space="grid", design="grid"), threads=1, data_dir=None)
        take_in(study, PLANNED)
    (folder / "studies" / "notes").mkdir()
    return folder


@pytest.mark.parametrize(
    "line",
    [
        ("status",),
        ("claim",),
        ("compare", "widths"),
        ("run", "--study"),
        ("plan", "--study"),
        ("run", "--learn-from"),
        ("power", "--pilot"),
    ],
    ids=" ".join,
)
def test_studies_by_their_names_wherever_one_is_given(
    line: tuple[str, ...], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert completed(*line, "") == completed(*line, "wi") == {"widths"}


def test_trials_and_cells_of_the_study_that_is_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    cells = {"n1", "width=8"}
    for study in ("widths", "studies/widths"):
        assert completed("predict", study, "") == completed("export-model", study, "") == {"best", *cells}
        assert completed("predict", study, "--cell", "") == completed("claim", study, "--subject", "") == cells
        for key in (SEARCHED.config.key, PLANNED.config.key):
            assert key in completed("predict", study, key[:4])
            assert key in completed("predict", study, "--key", key[:4])
        assert completed("effects", study, "--space", "") == completed("claim", study, "--space", "") == {"s", "grid"}
    assert completed("predict", "nowhere", "") == set()
    assert completed("predict", "widths", "best", "") == set(), "images are files"


def test_names_of_what_comes_with_ablate() -> None:
    assert (
        completed("claim", "x", "--claim", "") == completed("register", "") == completed("power", "") == set(claims())
    )
    assert completed("run", "--decide", "light") == set(claims())
    assert completed("figure", "x", "") == set(FIGURES)
    assert completed("run", "--profile", "") == {"quick", "standard", "paper"}
    assert (
        completed("run", "--sampler", "")
        == completed("replay", "x", "--sampler", "")
        == set(own_parts(KINDS["sampler"]))
    )
    assert completed("run", "--scheduler", "") == set(own_parts(KINDS["scheduler"]))
    assert completed("report", "x", "--section", "") == set(own_parts(KINDS["section"]))
    assert {"dice", "miou", "precision"} <= completed("pareto", "x", "--y", "")
    assert completed("status", "x", "--no") == {"--no-color"}


LINES = ["status ", "predict widths ", "figure widths ", "claim widths --claim ", "run --space ", "run --set protocol."]


def test_completion_loads_nothing_that_takes_a_second(folder: Path) -> None:
    code = f"""
import sys
from click.shell_completion import ShellComplete
from ablate.runners.cli.main import ablate
for line in {LINES!r}:
    *before, last = line.split(" ")
    assert ShellComplete(ablate, {{}}, "ablate", "_ABLATE_COMPLETE").get_completions(before, last), line
heavy = {HEAVY!r} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=folder)


def in_bash(folder: Path, *words: str) -> list[str]:
    """What bash itself offers for the last word, by the script that the help says to evaluate."""
    script = (
        'eval "$(_ABLATE_COMPLETE=bash_source ablate)"\n'
        'COMP_WORDS=(ablate "$@"); COMP_CWORD=$#; compopt() { :; }; _ablate_completion ablate\n'
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    environment = {**os.environ, "PATH": f"{Path(ABLATE).parent}:{os.environ['PATH']}"}
    ran = subprocess.run(
        ["bash", "-c", script, "bash", *words], capture_output=True, text=True, check=True, cwd=folder, env=environment
    )
    assert not ran.stderr
    return ran.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_offers_names_beside_files_and_folders(folder: Path) -> None:
    assert in_bash(folder, "predict", "widths", "") == ["best", "n1", "width=8"]
    assert in_bash(folder, "status", "") == ["widths"]
    assert set(in_bash(folder, "data", "check", "base")) == {"baselines"}
    assert in_bash(folder, "stat") == ["status"]
