"""`ablate init`: what it makes runs at once, by the commands that its README says, and replaces nothing."""

import re
import shlex
from pathlib import Path

import pytest
from commands import ablate

from ablate.analysis.claims.schema import load_claim
from ablate.search_spaces.space import load_space


def test_the_five_commands_of_the_readme_run(tmp_path: Path) -> None:
    made = ablate("init", "mine", cwd=tmp_path)
    folder = tmp_path / "mine"
    assert made.stdout == (
        "mine: README.md, claim.yaml, my_nets.py, space.yaml\nNext: cd mine; ablate check my_nets:LightNet\n"
    )
    readme = (folder / "README.md").read_text()
    commands = [shlex.split(line, comments=True)[1:] for line in re.findall("^ablate .*", readme, re.MULTILINE)]
    assert [command[0] for command in commands] == ["check", "plan", "run", "effects", "claim"]
    said = []
    for command in commands:
        small = ["--epochs", "1", "--set", "data.size=[32, 32]"] if command[0] in ("plan", "run") else []
        said.append(ablate(*command, *small, cwd=folder).stdout)
    checked, planned, _, effects, claimed = said
    assert "fails" not in checked
    assert "doubt" not in checked
    assert "4 configurations x 1 seed = 4 trials" in planned
    assert (folder / "study" / "report.html").is_file()
    for component in ("residual", "attention", "dilated"):
        assert component in effects
    assert "inconclusive" in claimed  # of one seed


def test_what_the_readme_says_of_another_network_holds(tmp_path: Path) -> None:
    ablate("init", cwd=tmp_path)
    design = ["plan", "--design", "leave_one_out", "--model", "my_nets:LightNet", "-o", "your_space.yaml"]
    ablate(*design, cwd=tmp_path)
    written, given = load_space(str(tmp_path / "your_space.yaml")), load_space(str(tmp_path / "space.yaml"))
    assert written.factors == given.factors
    assert written.design == given.design
    assert set(load_claim(str(tmp_path / "claim.yaml")).subject) == {"model", *given.factors}


def test_the_network_is_read_in_a_minute(tmp_path: Path) -> None:
    ablate("init", cwd=tmp_path)
    text = (tmp_path / "my_nets.py").read_text()
    assert sum(bool(line.strip()) for line in text.splitlines()) <= 40
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize("name", ["README.md", "my_nets.py", "space.yaml", "claim.yaml"])
def test_nothing_is_replaced(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    done = ablate("init", str(tmp_path), check=False)
    assert done.returncode == 2
    assert f"'{tmp_path / name}' is there already and is not overwritten: give another folder" in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_file_in_the_folder_s_place_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = ablate("init", str(tmp_path / "file"), check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
