"""Whatever a space or a claim says, a command does what was asked or refuses in one line, and writes nothing.

A sample of what `mutants.py` tries; it runs in a process of its own, since it forks before anything has threads.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from mutate import CLAIM, EVERYTHING, LEAVE_ONE_OUT, ONE_FACTOR

from ablate.analysis.claims.schema import load_claim
from ablate.search_spaces.designs import expand
from ablate.search_spaces.space import load_space

HERE = Path(__file__).parent


def test_mutated_spaces_and_claims_are_planned_or_refused():
    sample = [sys.executable, str(HERE / "mutants.py"), "--spaces", "30", "--claims", "20", "--seed", "7"]
    done = subprocess.run(sample, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    figures = [line for line in done.stdout.splitlines() if line.startswith(("spaces: ", "claims: "))]
    assert len(figures) == 2
    assert all(line.endswith(", 0 faults") for line in figures), done.stdout


def test_what_is_mutated_is_sound(tmp_path):
    """Else every mutant would be refused for the same reason, and nothing be tried."""
    for text in (EVERYTHING, ONE_FACTOR, LEAVE_ONE_OUT):
        (tmp_path / "base.yaml").write_text(text)
        assert len(expand(load_space(str(tmp_path / "base.yaml")))) > 2
    (tmp_path / "base.yaml").write_text(CLAIM)
    assert len(load_claim(str(tmp_path / "base.yaml")).hypotheses) == 5


@pytest.mark.parametrize("made", ["mutated_spaces", "mutated_claims"])
def test_a_seed_always_gives_the_same_mutants(made):
    code = f"import mutate; print(hash(tuple(mutate.{made}(50, 3))))"
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], cwd=HERE, env={"PYTHONHASHSEED": "0"}, capture_output=True, check=True
        )
        for _ in range(2)
    ]
    assert runs[0].stdout == runs[1].stdout
