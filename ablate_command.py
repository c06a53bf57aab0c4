"""Where the `ablate` command begins: its packages are looked for beside this file first.

Else `PYTHONPATH=.`, which notebooks and editors set, would make a user's own folder called `runners` one of them.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from runners.cli.main import main

__all__ = ["main"]
