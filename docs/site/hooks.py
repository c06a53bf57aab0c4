"""What MkDocs cannot know: which files of the repository are pages of the site, the command line, a notebook.

Links in docs/ are right where the files lie. A file outside docs/ that they name has a place in the site too: README.md
is its first page, CONTRIBUTING.md and CHANGELOG.md are pages, and others are beside them, in files/.
"""

from __future__ import annotations

import json
import posixpath
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from mkdocs.structure.files import File, Files, InclusionLevel

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Files of the repository's root that are pages, and as what."""
_LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)(?=[)#])")
_FENCED = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"^<!-- (commands|notebook (\S+)) -->$", re.MULTILINE)
_BLOCK = "\b"
"""Click's mark of a paragraph that is not to be wrapped."""


def on_startup(command: str, dirty: bool) -> None:
    """Put the four folders together as the one package that they are installed as, where mkdocstrings looks for it."""
    package = ROOT / "build/package/ablate"
    shutil.rmtree(package, ignore_errors=True)
    package.mkdir(parents=True)
    for part in [*(ROOT / "ablation").iterdir(), *(ROOT / name for name in ("analysis", "runners", "search_spaces"))]:
        (package / part.name).symlink_to(part)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the root, and the files that any page links outside docs/."""
    for name, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / name).read_text()))
    for page in list(files.documentation_pages()):
        for link in _LINK.findall(_FENCED.sub("", page.content_string)):
            linked = _on_disk(page.src_uri, link)
            if _in_site(linked).startswith("files/") and files.get_file_from_path(_in_site(linked)) is None:
                file = File.generated(config, _in_site(linked), abs_src_path=str(ROOT / linked))
                file.inclusion = InclusionLevel.NOT_IN_NAV
                files.append(file)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put in what is made when the site is built, and turn links on disk to links in the site."""
    here = page.file.src_uri

    def link(found: re.Match[str]) -> str:
        return posixpath.relpath(_in_site(_on_disk(here, found[1])), posixpath.dirname(here) or ".")

    parts, end = [], 0
    for fenced in [*_FENCED.finditer(markdown), None]:
        parts.append(_LINK.sub(link, markdown[end : fenced.start() if fenced else None]))
        if fenced:
            parts.append(fenced[0])
            end = fenced.end()
    folder = ROOT / "docs" / posixpath.dirname(here)
    return _MARK.sub(lambda mark: notebook(folder / mark[2]) if mark[2] else commands(), "".join(parts))


def _on_disk(page: str, link: str) -> str:
    """The file that a page links, by its path from the root; `page` as it is called in the site."""
    names = {site: name for name, site in PAGES.items()}
    own = names.get(page) or (page.removeprefix("files/") if page.startswith("files/") else f"docs/{page}")
    return posixpath.normpath(posixpath.join(posixpath.dirname(own), link))


def _in_site(path: str) -> str:
    """A file of the repository as it is called in the site."""
    return path.removeprefix("docs/") if path.startswith("docs/") else PAGES.get(path, f"files/{path}")


# The command line -----------------------------------------------------------------------------------------------------


def commands() -> str:
    """Every command as Markdown, from the commands themselves."""
    from ablate.runners.cli.main import ablate

    return "\n\n".join(map(_command, _walked(ablate)))


def _walked(group: click.Group, above: click.Context | None = None) -> Iterator[click.Context]:
    context = click.Context(group, above, info_name=group.name, **group.context_settings)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _walked(command, context)
        else:
            yield click.Context(command, context, info_name=name, **command.context_settings)


def _command(context: click.Context) -> str:
    command, name = context.command, context.command_path
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    help_text = re.sub(r"^ {4}", "", command.help or "", flags=re.MULTILINE)
    told = [_paragraph(text) for text in re.split(r"\n\s*\n", help_text.strip())]
    records = [own.get_help_record(context) for own in command.get_params(context) if isinstance(own, click.Option)]
    options = [f"`{option}`\n:   {_plain(' '.join(text.split()))}" for option, text in filter(None, records)]
    return "\n\n".join([f"## {name}", f"```text\n{usage}\n```", *told, *options])


def _paragraph(text: str) -> str:
    """Wrapped text as it is; a block of click's as one of code, with its heading before."""
    if not text.startswith(_BLOCK):
        return _plain(text)
    heading, *lines = text.removeprefix(_BLOCK).strip("\n").splitlines()
    kind = "console" if heading.startswith("Example") else "text"
    shown = [f"$ {line.strip()}" if kind == "console" else line.removeprefix("  ") for line in lines]
    return f"{_plain(heading.strip())}\n\n```{kind}\n" + "\n".join(shown) + "\n```"


def _plain(text: str) -> str:
    """Text in which nothing is Markdown but what stands between backticks."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(p if p.startswith("`") else re.sub(r"([\\*_<>\[\]|#])", r"\\\1", p) for p in pieces)


# A notebook -----------------------------------------------------------------------------------------------------------


def notebook(path: Path) -> str:
    """A notebook's cells as Markdown: text as it is, code as code."""
    cells: list[dict[str, Any]] = json.loads(path.read_text())["cells"]
    texts = [("".join(cell["source"]), cell["cell_type"] == "code") for cell in cells]
    return "\n\n".join(f"```python\n{text}\n```" if is_code else text for text, is_code in texts)
