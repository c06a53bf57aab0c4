"""Where the `ablate` command begins: beside its package, which a folder of the user's own may hide.

(With `PYTHONPATH=.`, which notebooks and editors set, Python would find a folder called `ablate` there first.)
"""

import importlib.util
import sys
from pathlib import Path

_BESIDE = ("ablate/__init__.py", "ablation/__init__.py")
"""Of the package, beside this file: as it is installed, and in a checkout."""


def main() -> None:
    """Run the command, or say in one line what hides it and end with 2."""
    spec = importlib.util.find_spec("ablate")
    found = Path(spec.origin).resolve() if spec and spec.origin else Path("ablate")
    if found not in {Path(__file__).resolve().parent / own for own in _BESIDE}:
        what = found.parent if found.name == "__init__.py" else found
        line = f"ablate: '{what}' is found in place of this command's package: rename it, or set PYTHONPATH without it"
        print(line, file=sys.stderr)
        raise SystemExit(2)
    from ablate.runners.cli.main import main as command

    command()
