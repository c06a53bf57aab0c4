"""The README's example of a network of one's own: its files and commands, as they stand there."""

from __future__ import annotations

import re

from pages import DOCS, commands_of, files_of, run

README = "../README.md"


def test_the_network_is_checked_and_what_is_asked_of_it_is_planned(tmp_path):
    for name, text in files_of(README).items():
        (tmp_path / name).write_text(text)
    listed = [command for command in commands_of(README) if "my_nets" in command or "space.yaml" in command]
    own = [command for command in listed if "my_space" not in command]
    said = run([command.replace("ablate run", "ablate plan") for command in own], tmp_path)
    assert len(said) == 3
    assert not {command: end.line for command, end in said.items() if end.code}
    checked, planned, losses = (end.out for end in said.values())
    assert re.search(r"(\d+) of \1 checks hold", checked)
    assert "3 configurations x 3 seeds = 9 trials" in planned
    assert "6 configurations" in losses
    assert "rejected" not in planned + losses


def test_what_it_links_is_there():
    for link in re.findall(r"\]\(([^)#]+)\)", (DOCS / README).read_text()):
        assert (DOCS.parent / link).exists(), link
