"""docs/extending.md: every file on the page is written as it stands, and every command is run."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pages import DOCS, commands_of, files_of, run

from ablate.errors import InputError
from ablate.kinds import KINDS, parse
from ablate.models.network import network, network_of
from ablate.modules import code_from
from ablate.study.study import Study

PAGE = "extending.md"
FILES = files_of(PAGE)
COMMANDS = commands_of(PAGE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mine")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def said(folder):
    return run(COMMANDS, folder)


def test_every_command_of_the_page_runs(said):
    assert len(said) == len(COMMANDS) > 8
    assert not {command: end.line for command, end in said.items() if end.code}
    checked = said["ablate check my_nets:LightNet --set width=4"].out
    assert re.search(r"(\d+) of \1 checks hold", checked)
    assert "6 configurations" in said["ablate plan --space losses --model my_nets:LightNet --data phantom"].out


def test_a_part_of_each_kind_is_trained_both_ways(said, folder):
    planned = said["ablate plan --space space.yaml"].out
    assert "6 configurations" in planned
    assert "rejected" not in planned
    study = Study.open(folder / "study")
    assert {record.state for record in study.records().values()} == {"complete", "trivial"}
    trials = [config for config in map(study.config, study.records()) if not config.is_trivial]
    parts = [part for trial in trials for part in trial.parts.values() if ":" in part.name]
    written = set(re.findall(r"my_\w+:\w+", FILES["space.yaml"]))
    assert len(written) == 14
    assert {part.name for part in parts} == written
    assert all(part.made_by.startswith("code ") for part in parts)


def test_a_search_asks_the_sampler_and_the_scheduler(said, folder):
    assert len([r for r in Study.open(folder / "search").records().values() if r.model == "my_nets:LightNet"]) == 3
    replayed = next(end.out for command, end in said.items() if command.startswith("ablate replay"))
    assert "my_samplers:genetic" in replayed


def test_the_sections_are_in_the_report(said, folder):
    page = (folder / "study" / "report.html").read_text()
    assert "<h2>Dice by price</h2>" in page
    assert "Slowest: " in page


def test_libraries_are_taken_as_they_are(said, folder):
    out = said["ablate plan --space libraries.yaml"].out
    assert "4 configurations" in out
    assert "rejected" not in out


def test_what_counts_is_what_the_code_means(said, folder):
    nets = folder / "my_nets.py"
    plan = "ablate plan --space space.yaml --study study"
    nets.write_text(FILES["my_nets.py"].replace("Two convolutions and a head", "Two of them").replace("y = ", "y =  "))
    assert "6 of the 6 trials are in 'study' already" in run([plan], folder)[plan].out
    nets.write_text(FILES["my_nets.py"].replace("act()", "act(), act()"))
    found = " ".join(run([plan], folder)[plan].out.split())
    quoted = re.search(r"^(1 trial is new because .*)$", (DOCS / PAGE).read_text(), re.MULTILINE)
    assert quoted
    assert re.search(quoted[1].replace("…", "[0-9a-f]{12}").replace("(", r"\(").replace(")", r"\)"), found)
    nets.write_text(FILES["my_nets.py"])


@pytest.mark.parametrize("name", ["os:system", "builtins:eval"])
def test_what_the_page_says_is_refused_is(name):
    with pytest.raises(InputError, match="module of Python itself"):
        parse(KINDS["network"], {"name": name})


def test_what_is_filled_in_may_be_called_otherwise_and_a_dict_has_logits(tmp_path):
    (tmp_path / "odd.py").write_text(
        "from torch import nn\n\n\nclass Odd(nn.Module):\n    def __init__(self, depth_of_input, labels):\n"
        "        super().__init__()\n        self.only = nn.Conv2d(depth_of_input, labels, 1)\n\n"
        "    def forward(self, x):\n        return {'out': self.only(x)}\n"
    )
    with code_from(tmp_path):
        odd = network("odd:Odd", depth_of_input="$in_channels", labels="$classes")
        assert network_of(odd).build(3, 2)(torch.zeros(1, 3, 8, 8)).shape == (1, 2, 8, 8)
        with pytest.raises(InputError, match="what a trial knows 'in_chanels': did you mean 'in_channels'"):
            network_of(network("odd:Odd", depth_of_input="$in_chanels", labels=2)).build(3, 2)


def test_its_test_file_is_one(folder):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_my_nets.py"],
        cwd=folder, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_every_name_of_a_library_and_every_file_that_it_links_is_there():
    text = (DOCS / PAGE).read_text()
    for module in set(re.findall(r'"\$?((?:monai|torch)[\w.]*):\w+', text)):
        assert importlib.util.find_spec(module), module
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (DOCS / link).exists(), link
