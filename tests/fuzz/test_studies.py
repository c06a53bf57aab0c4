"""Some of the damaged and hostile studies, every time; the scripts beside this try all of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize(
    "script",
    [
        ("damaged.py", "--count", "16", "--seed", "7", "--no-runs"),
        ("damaged.py", "--count", "3", "--seed", "11"),
        ("hostile.py", "--count", "120", "--seed", "7", "--no-runs", "--part", "3/40"),
    ],
    ids=["damaged", "damaged and trained again", "hostile"],
)
def test_no_study_is_a_traceback_or_a_wrong_figure_or_reaches_beyond_itself(script):
    done = subprocess.run([sys.executable, *script], cwd=HERE, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
