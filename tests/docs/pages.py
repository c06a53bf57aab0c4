"""The pages of docs/ as a user follows them: their files, and the commands that they give.

A block with a title is a file, and the blocks of one YAML file add up. In a block of `console`, lines that begin with
`$` are commands; of one of `sh`, all are. A block that no test runs has `<!-- not run: why -->` on the line before it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import yaml

DOCS = Path(__file__).parents[2] / "docs"
ROOT = DOCS.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
_BLOCK = re.compile(r'^```(\w+)(?: title="([^"\n]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_COMMANDS = re.compile(
    r"^(?: *<!-- not run: (?P<why>.+?) -->\n)?"
    r"(?P<indent> *)```(?P<kind>console|sh)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_PROMPT = re.compile(r"^ *(?:\w*\$|#) ")
_RUNS = """
import json, sys
from ablate.runners.cli.main import _run
for command in json.load(sys.stdin):
    code, line = _run(command)
    print(f"\\0{code} {line}\\0", end="", flush=True)
"""


class Said(NamedTuple):
    """What a command printed, its exit code, and the one line of an error."""

    out: str
    code: int
    line: str


class Block(NamedTuple):
    """Commands of a page, by its path and line, each with the lines that it is shown to print.

    `why` nothing runs them, '' where a test does. A line that is `…` stands for others, and is left out.
    """

    page: str
    line: int
    kind: str
    shown: dict[str, list[str]]
    why: str

    @property
    def ours(self) -> list[str]:
        return [command for command in self.shown if command.startswith("ablate ")]


def blocks() -> list[Block]:
    """Every block of commands of README.md, CONTRIBUTING.md and docs/."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for block in _COMMANDS.finditer(text):
            shown: dict[str, list[str]] = {}
            printed: list[str] = []
            for line in block["text"].replace("\\\n", " ").splitlines():
                prompt = _PROMPT.match(line) if block["kind"] == "console" else re.match("", line)
                if prompt:
                    printed = []
                    shown |= {part.strip(): printed for part in line[prompt.end() :].split(" && ")}
                elif line.strip() != "…":
                    printed.append(line)
            at = text[: block.start()].count("\n") + 1
            found.append(Block(str(page.relative_to(ROOT)), at, block["kind"], shown, block["why"] or ""))
    return found


def files_of(page: str) -> dict[str, str]:
    """The files of a page, by their names."""
    found: dict[str, Any] = {}
    for _, title, text in _BLOCK.findall((DOCS / page).read_text()):
        if title.endswith(".yaml"):
            found[title] = _added(found.get(title, {}), yaml.safe_load(text))
        elif title:
            assert title not in found, f"{page} has two files {title}"
            found[title] = text
    return {name: text if isinstance(text, str) else yaml.safe_dump(text) for name, text in found.items()}


def _added(one: Any, other: Any) -> Any:
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return other
    return one | {name: _added(one.get(name, {}), value) for name, value in other.items()}


def commands_of(page: str) -> list[str]:
    """The commands of a page, in its order."""
    blocks = [text for kind, _, text in _BLOCK.findall((DOCS / page).read_text()) if kind == "console"]
    return [line.removeprefix("$ ") for text in blocks for line in text.splitlines() if line.startswith("$ ")]


def run(commands: list[str], folder: Path) -> dict[str, Said]:
    """What commands say that are run one after the other in `folder`.

    In one process, and on one thread, to be quick: where cores are busy, threads of small tensors wait for each other.
    """
    listed = [shlex.split(command, comments=True) for command in commands]
    assert all(words[0] == "ablate" for words in listed)
    one_at_a_time = [words[1:] + ["--max-concurrent", "1"] * (words[1] == "run") for words in listed]
    done = subprocess.run(
        [sys.executable, "-c", _RUNS], input=json.dumps(one_at_a_time), cwd=folder, capture_output=True, text=True,
        timeout=300, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    outs = done.stdout.split("\0")
    ends = [end.split(" ", 1) for end in outs[1::2]]
    return {c: Said(out, int(end[0]), end[1]) for c, out, end in zip(commands, outs[::2], ends, strict=False)}
