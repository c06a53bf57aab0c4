"""The README's example of a network of one's own: its files and commands, as they stand there."""

from __future__ import annotations

import re

from pages import DOCS, blocks, files_of, run

README = "../README.md"


def test_the_network_is_checked_and_what_is_asked_of_it_is_planned(tmp_path):
    for name, text in files_of(README).items():
        (tmp_path / name).write_text(text)
    unmarked = [block for block in blocks() if block.page == "README.md" and block.kind == "console" and not block.why]
    own = [command for block in unmarked for command in block.shown]
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
