"""What commands that train nothing load: not what takes seconds, where they have no use for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from commands import SPACE, ablate
from made_studies import made_study, trained

from ablate.data import store
from ablate.data.load import load_data
from ablate.data.settings import Mni152

HEAVY = {"torch", "ptflops", "ray", "sympy", "pandas", "plotly", "scipy", "nilearn", "nibabel", "optuna", "sklearn"}
CODE = """
import sys
sys.argv = ["ablate", *sys.argv[1:]]
from ablate.runners.cli.main import main
try:
    main()
except SystemExit as end:
    print("LOADED", end.code, *sys.modules)
"""


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    """The heavy packages that a command loads, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(store.VARIABLE, str(tmp_path / "cache"))

    def of(*arguments: str) -> set[str]:
        ran = subprocess.run([sys.executable, "-c", CODE, *arguments], capture_output=True, text=True, check=True)
        _, code, *modules = ran.stdout[ran.stdout.index("LOADED") :].split()
        assert code == "0", ran.stdout + ran.stderr
        return HEAVY & set(modules)

    return of


def test_help_loads_nothing(loaded):
    assert loaded("--help") == set()


def test_a_plan_whose_data_were_made_ready_loads_no_library_of_training(loaded):
    load_data(Mni152())
    assert loaded("plan", "--space", "pyramid_levels", "--profile", "quick") == set()


def test_a_plan_of_networks_of_others_still_prices_them(loaded):
    load_data(Mni152())
    found = loaded(
        "plan", "--space", "losses", "--model", "torch.nn:Conv2d", "--set", "model.kernel_size=1", "--profile", "quick"
    )
    assert {"torch", "ptflops"} <= found


def test_status_loads_neither_pytorch_nor_pandas(loaded, tmp_path):
    made_study(tmp_path / "study", trained())
    assert loaded("status", "study") == set()


def test_a_report_loads_neither_pytorch_nor_ray(loaded, tmp_path):
    made_study(tmp_path / "study", trained())
    assert not {"torch", "ptflops", "ray", "sympy", "nibabel"} & loaded("report", "study")
    assert Path("study/report.html").exists()


def test_a_run_with_nothing_to_do_loads_neither_pytorch_nor_ray(loaded, tmp_path):
    space, study = tmp_path / "space.yaml", tmp_path / "study"
    space.write_text(SPACE)
    ablate("run", "--space", space, "--study", study)
    assert not {"torch", "ray", "sympy"} & loaded("run", "--space", str(space), "--study", str(study))
