"""Every link of README.md, CONTRIBUTING.md, CHANGELOG.md and docs/ leads somewhere, its heading too, as the files lie.

That they do in the site, too, is what `mkdocs build --strict` says; headings are called alike in both.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pages import PAGES, ROOT

ALL = [*PAGES, ROOT / "CHANGELOG.md"]
MADE = {"reference/commands.md", "reference/python.md"}
"""Pages whose headings are made when the site is built."""
_FENCED = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def prose(page: Path) -> str:
    return _FENCED.sub("", page.read_text())


def headings(page: Path) -> set[str]:
    """As GitHub calls them: lower case, without punctuation, a hyphen for each space."""
    names: set[str] = set()
    for heading in _HEADING.findall(prose(page)):
        name = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")
        assert name not in names, f"{page.name} has two headings #{name}, which are told apart differently in the site"
        names.add(name)
    return names


@pytest.mark.parametrize("page", ALL, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path):
    wrong = []
    for file, heading in _LINK.findall(prose(page)):
        linked = (page.parent / file).resolve() if file else page
        made = any(linked.match(one) for one in MADE)
        if not linked.is_file() or (heading and not made and heading not in headings(linked)):
            wrong.append(f"{file}#{heading}" if heading else file)
    assert not wrong


def test_the_site_has_every_page_in_its_menu():
    menu = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2]))
    assert menu == {str(page.relative_to(ROOT / "docs")) for page in PAGES if page.is_relative_to(ROOT / "docs")} | {
        "index.md",
        "contributing.md",
        "changelog.md",
    }
