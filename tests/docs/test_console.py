"""Every block of commands in README.md, CONTRIBUTING.md and docs/ is run by a test, or says why it is not.

Those that read a study read the one that the notebook made (docs/how-to/study.ipynb), which is so run too. What nothing
runs is at least given to the command's own parser, so that no page names an option that is not there.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from pathlib import Path

import click
import nbclient
import nbformat
import numpy as np
import pytest
from pages import DOCS, Block, blocks, files_of, run
from PIL import Image

from ablate.runners.cli.main import ablate
from ablate.study.study import Study

BLOCKS = blocks()
NOTEBOOK = DOCS / "how-to/study.ipynb"
RUN_ELSEWHERE = {
    "README.md": "its two of sh by .ci/run, its own network by test_readme.py",
    "docs/extending.md": "test_extending.py",
    "docs/recipe.md": "test_recipe_page.py",
    "docs/tour.md": "tour.py, by .ci/run",
}
"""Pages of which another test runs all unmarked blocks of `console`, as they stand there."""
HERE = [block for block in BLOCKS if not block.why and block.page not in RUN_ELSEWHERE]
READS = {"claim", "effects", "export", "figure", "pareto", "report", "status", "table", "verify"}
PREPARES = {"check", "cost", "data", "init", "paper", "parts", "plan"}
"""Commands that end by themselves within seconds: of a study that is there, and before anything is trained."""


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> nbformat.NotebookNode:
    """The notebook after it was run, in the folder that its metadata name."""
    folder = tmp_path_factory.mktemp("notebook")
    read = nbformat.read(NOTEBOOK, as_version=4)
    client = nbclient.NotebookClient(read, timeout=300, resources={"metadata": {"path": str(folder)}})
    client.execute(env={**os.environ, "OMP_NUM_THREADS": "1"})
    read.metadata["folder"] = str(folder)
    return read


@pytest.fixture(scope="module")
def folder(notebook: nbformat.NotebookNode, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages suppose to be there: a study, a network and a space of one's own, images, sections, a claim."""
    folder = tmp_path_factory.mktemp("pages")
    for name in ("STUDY", "studies/pyramid_levels-mni152-quick"):
        shutil.copytree(Path(notebook.metadata["folder"]) / "study", folder / name)
    random = np.random.default_rng(0)
    for name in ("my_images/images", "my_images/masks", "images/images", "images/masks"):
        (folder / name).mkdir(parents=True)
        for patient in range(10):
            picture = random.integers(0, 256, (64, 64), dtype=np.uint8)
            Image.fromarray(np.where(picture > 128, 255, 0).astype(np.uint8) if "masks" in name else picture).save(
                folder / name / f"patient{patient:02d}_slice001.png"
            )
    for page in ("../README.md", "how-to/own-data.md", "how-to/claim.md"):
        for name, text in files_of(page).items():
            (folder / name).write_text(text)
    shutil.copy(folder / "space.yaml", folder / "my_space.yaml")
    [sections] = re.findall(r"^```python\n(# my_sections.py.*?)^```$", (DOCS / "analysis.md").read_text(), re.M | re.S)
    (folder / "my_sections.py").write_text(sections)
    return folder


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.page}:{block.line}")
def test_a_block_is_run_or_says_why_not(block: Block):
    assert block.shown, "a block without commands is one of `text`"
    if block.page in RUN_ELSEWHERE and not block.why:
        in_ci = [one.line for one in BLOCKS if one.page == "README.md" and one.kind == "sh"][:2]
        assert block.kind == "console" or (block.page == "README.md" and block.line in in_ci)
    if block.why or block.page in RUN_ELSEWHERE:
        return
    strange = [command for command in block.shown if shlex.split(command)[:1] != ["ablate"]]
    strange += [command for command in block.ours if shlex.split(command)[1] not in READS | PREPARES]
    assert not strange, (
        f"nothing runs these: mark the block with <!-- not run: why -->, or name them in READS: {strange}"
    )


def test_what_is_unmarked_runs(folder: Path):
    refusals = {command: refusal(block.shown[command]) for block in HERE for command in block.ours}
    assert len(refusals) > 15
    said = run(list(refusals), folder)
    assert {command: end.line for command, end in said.items()} == refusals
    assert all(end.code == (2 if end.line else 0) for end in said.values())
    assert "refuted" in said["ablate claim STUDY --claim my_claim.yaml"].out
    for written in ("look.html", "components.yaml", "results.tex", "front.pdf", "images.pdf", "mine/space.yaml"):
        assert (folder / written).stat().st_size, written


def refusal(printed: list[str]) -> str:
    """The line of an error that a command is shown to end with; '' of one that does what it is asked."""
    said = " ".join(line.strip() for line in printed)
    return said.removeprefix("ablate: ") if said.startswith("ablate: ") else ""


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.ours], ids=lambda block: f"{block.page}:{block.line}")
def test_every_option_is_there_and_takes_what_it_is_given(block: Block):
    for command in block.ours:
        parsed(command)


def test_an_option_that_is_not_there_is_found():
    with pytest.raises(click.UsageError, match="--sede"):
        parsed("ablate run --space baselines --sede 3")
    with pytest.raises(click.UsageError, match="latencies"):
        parsed("ablate pareto STUDY --x latencies")


def parsed(command: str) -> None:
    """Give a line to the parser of its command, which runs nothing. Raises `click.UsageError`, as the command would."""
    found: click.Command = ablate
    words = shlex.split(command.replace("…", ""), comments=True)[1:]
    while isinstance(found, click.Group):
        own = found.get_command(click.Context(found), words[0])
        assert own, f"{command}: there is no command {words[0]}"
        found, words = own, words[1:]
    context = click.Context(found)
    given, _, _ = found.make_parser(context).parse_args(words)
    for parameter in found.params:
        if isinstance(parameter.type, click.Choice | click.types.IntParamType | click.types.FloatParamType):
            for value in np.atleast_1d(given.get(str(parameter.name)) or []):
                parameter.type.convert(str(value), parameter, context)


def test_the_notebook_runs_and_shows_what_it_says(notebook: nbformat.NotebookNode):
    made = Study.open(Path(notebook.metadata["folder"]) / "study")
    trials = [record for record in made.records().values() if record.state != "trivial"]
    assert [record.state for record in trials] == ["complete"] * 6
    shown = ["".join(json.dumps(output) for output in cell.get("outputs", [])) for cell in notebook.cells]
    assert any("on the front" in text for text in shown)
    assert any(re.search(r"4 against 1: [+-]0\.\d{3} \[", text) for text in shown)


def test_the_notebook_is_kept_without_outputs():
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        assert not cell.get("outputs")
        assert not cell.get("execution_count")
