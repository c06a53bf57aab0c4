"""The Dockerfiles: what they copy is there, what they install is pinned, and what they run is no root's."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = ("Dockerfile", "docs/cluster/Dockerfile")


def instructions(file: str) -> list[tuple[str, str]]:
    """Each with what it is given, comments left out and continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / file).read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def kept() -> set[str]:
    """What `.dockerignore` lets into an image, of a checkout."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines, "it would take all of the folder, studies and data too"
    return {line.removeprefix("!") for line in lines if line.startswith("!")}


def test_an_image_holds_all_that_an_installation_is_made_from():
    tracked = set(
        subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    )
    assert all(name in tracked or any(file.startswith(f"{name}/") for file in tracked) for name in kept())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    setuptools = project["tool"]["setuptools"]
    folders = {folder for folder in setuptools["package-dir"].values() if folder != "."}
    modules = {f"{name}.py" for name in setuptools["py-modules"]}
    named = {project["project"]["readme"], *project["project"]["license-files"]}
    assert folders | modules | named | {"pyproject.toml", "constraints.txt"} <= kept()


@pytest.mark.parametrize("file", FILES)
def test_every_source_that_is_copied_exists(file):
    copied = [rest.split() for name, rest in instructions(file) if name == "COPY"]
    assert copied
    for words in copied:
        *sources, _ = [word for word in words if not word.startswith("--")]
        assert all((ROOT / source).exists() for source in sources)


@pytest.mark.parametrize("file", FILES)
def test_everything_is_installed_at_the_versions_that_are_tested(file):
    installs = [part for name, rest in instructions(file) if name == "RUN" for part in re.split(r"&&|;", rest)]
    installs = [part for part in installs if "pip install" in part]
    assert installs
    assert all(re.search(r"(-c|--constraint) \S*constraints\.txt", part) for part in installs)


def test_the_image_runs_ablate_and_not_as_root():
    given = instructions("Dockerfile")
    assert dict(given)["ENTRYPOINT"] == '["ablate"]'
    order = [name for name, _ in given]
    assert order.index("USER") > max(at for at, name in enumerate(order) if name == "RUN")
    assert dict(given)["USER"] == "$UID"
    assert ("ARG", "UID=1000") in given
