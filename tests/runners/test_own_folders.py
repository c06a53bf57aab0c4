"""A user's own folders that are called like this project's packages are not taken for them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from commands import ABLATE, PROJECT, SPACE

from ablate import DISTRIBUTION

NAMES = ("ablation", "search_spaces", "analysis", "runners")
OURS = "the user's own"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment in which this project is installed as a wheel; all else is of the one that tests."""
    folder = tmp_path_factory.mktemp("wheel")
    venv.create(folder, with_pip=False, symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    # What is installed there is found, but its own .pth files, of an editable install, are not.
    (site / "all_else.pth").write_text("\n".join(place for place in sys.path if place.endswith("site-packages")))
    checkout = folder / "checkout"  # for setuptools leaves a build there
    ignored = shutil.ignore_patterns(".*", "__pycache__", "build", "*.egg-info", "studies", "tests")
    shutil.copytree(PROJECT, checkout, ignore=ignored)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
    subprocess.run([*pip, "install", "-q", "--no-deps", "--ignore-installed", checkout], check=True, timeout=300)
    assert (site / "ablate" / "runners" / "cli" / "main.py").exists()
    return folder / "bin"


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A folder with packages and modules of their own."""
    for name in (*(f"{name}/__init__" for name in NAMES), "models", "config", "training"):
        file = tmp_path / f"{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"raise RuntimeError({OURS!r})\n")
    (tmp_path / "space.yaml").write_text(SPACE.replace("[4, 8]", "[4]"))
    return tmp_path


def said(command: list[str], folder: Path, search_path: str, code: int = 0) -> str:
    environment = {**os.environ, "PYTHONPATH": search_path}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert OURS not in done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(("installed", "search_path"), [("as a checkout", ""), ("as a wheel", ".")])
def test_a_users_own_packages_do_not_matter(theirs, wheel, installed, search_path):
    programs = wheel if installed == "as a wheel" else Path(ABLATE).parent
    for arguments in (
        ["run", "--space", "space.yaml", "--study", "study", "--epochs", "1"],
        ["measure", "study", "--repeats", "5"],
        ["report", "study"],
    ):
        said([str(programs / "ablate"), *arguments], theirs, search_path)
    assert (theirs / "study" / "report.html").exists()
    notebook = "from ablate.analysis import frames; from ablate.study.study import Study; print(frames.__file__)"
    where = said([str(programs / "python"), "-c", notebook], theirs, search_path)
    assert (str(wheel.parent) in where) == (installed == "as a wheel")


@pytest.mark.parametrize(
    ("installed", "package"), [("as a checkout", "ablate.py"), ("as a wheel", "ablate/__init__.py")]
)
def test_what_hides_the_package_is_said(theirs, wheel, installed, package):
    programs = wheel if installed == "as a wheel" else Path(ABLATE).parent
    (theirs / package).parent.mkdir(exist_ok=True)
    (theirs / package).write_text(f"raise RuntimeError({OURS!r})\n")
    command = [str(programs / "ablate"), "run", "--space", "space.yaml", "--study", "study", "--epochs", "1"]
    line = said(command, theirs, ".", code=2)
    assert line.count("\n") == 1
    assert f"'{(theirs / package).parent if package != 'ablate.py' else theirs / package}'" in line
    assert "is found in place of this command's package: rename it" in line
    assert not (theirs / "study").exists()
    said(command, theirs, "")  # where it is not looked for first it does not matter
    assert (theirs / "study" / "report.html").exists()


def test_the_wheel_is_whole(wheel):
    pip = [sys.executable, "-m", "pip", "--python", str(wheel / "python")]
    shown = subprocess.run([*pip, "show", "-f", DISTRIBUTION], capture_output=True, text=True, check=True).stdout
    installed = {line.strip() for line in shown.splitlines() if line.strip().startswith("ablate")}
    files = {
        file.relative_to(PROJECT).as_posix()
        for name in NAMES
        for file in (PROJECT / name).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    expected = {f"ablate/{file}".replace("ablate/ablation/", "ablate/") for file in files} | {"ablate_command.py"}
    assert {name for name in installed if "__pycache__" not in name and ".dist-info" not in name} == expected
