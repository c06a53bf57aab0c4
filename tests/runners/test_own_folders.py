"""A user's own folders that are called like this project's packages are not taken for them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from commands import ABLATE, SPACE

NAMES = ("ablation", "search_spaces", "analysis", "runners")


@pytest.mark.parametrize("search_path", ["", "."], ids=["in that folder", "with PYTHONPATH=."])
def test_a_users_own_packages_do_not_matter(tmp_path: Path, search_path: str) -> None:
    for name in NAMES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('this is the user's own')\n")
    (tmp_path / "space.yaml").write_text(SPACE.replace("[4, 8]", "[4]"))
    environment = {**os.environ, "PYTHONPATH": search_path}
    for arguments in (
        ("run", "--space", "space.yaml", "--study", "study", "--epochs", "1"),
        ("measure", "study", "--repeats", "5"),
        ("report", "study"),
    ):
        done = subprocess.run(
            [ABLATE, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "user's own" not in done.stdout + done.stderr
    assert (tmp_path / "study" / "report.html").exists()
