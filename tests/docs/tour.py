"""docs/tour.md, on the study that the README's first command made: `python tests/docs/tour.py studies`, in .ci/run.

Every command is run in a folder of its own, with a copy of those studies, and prints the lines that the page shows, in
their order. Numbers may differ, for they do between processors; what they are of may not.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path

from pages import blocks, files_of, run

PAGE = "tour.md"


def main(studies: str) -> None:
    unmarked = [block for block in blocks() if block.page == f"docs/{PAGE}" and not block.why]
    shown = {command: lines for block in unmarked for command, lines in block.shown.items()}
    with tempfile.TemporaryDirectory(prefix="ablate-tour-") as scratch:
        shutil.copytree(studies, Path(scratch) / "studies")
        for name, text in files_of(PAGE).items():
            (Path(scratch) / name).write_text(text)
        said = run(list(shown), Path(scratch))
    for command, lines in shown.items():
        end = said[command]
        assert end.code == 0, f"{command}: {end.line}"
        printed = iter([bare(line) for line in end.out.splitlines()])
        for line in lines:
            assert bare(line) in printed, f"{command} does not print, there: {line}\n{end.out}"
    print(f"{len(shown)} commands of the tour, with {sum(map(len, shown.values()))} lines that they print")


def bare(line: str) -> str:
    """A line without what may differ: numbers, keys, who is on the front, and how wide columns are."""
    line = re.sub(r"\d (s|min)\b", "0", line.replace("*", ""))
    return " ".join("#" if re.search(r"\d", word) else word for word in line.split())


if __name__ == "__main__":
    main(*sys.argv[1:])
