"""The lowest versions that pyproject.toml allows, or the newest that there are: installed, tested, and trained with.

    python tests/dependencies.py lowest
    python tests/dependencies.py newest --torch 2.13.0
    python tests/dependencies.py newest --into ~/venv-newest tests/ablation/models

Makes an environment with this Python, installs the checkout and its `dev` extra there with uv (on the PATH, or `pip
install uv`), runs the tests that are named, or those that touch every dependency, and then trains a space as a user
would. A torch from the index brings gigabytes of CUDA on Linux; `--torch` names a version that is there for CPUs.
Ends with 0 if all that passed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).parent.parent
TESTS = (
    "tests/ablation",
    "tests/analysis/claims",
    "tests/analysis/figures",
    "tests/analysis/paper",
    "tests/analysis/printed",
    "tests/analysis/test_effects.py",
    "tests/analysis/test_frames.py",
    "tests/analysis/test_pareto.py",
    "tests/analysis/test_tables.py",
    "tests/analysis/test_uncertainty.py",
    "tests/search_spaces",
    "tests/runners/search",
)
RESOLUTION = {"lowest": "lowest-direct", "newest": "highest"}
SPACE = ("--space", "pyramid_levels", "--epochs", "1", "--set", "data.size=[32,32]", "--study", "tried")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("which", choices=RESOLUTION)
    parser.add_argument("tests", nargs="*", default=TESTS, help="[default: those that touch every dependency]")
    parser.add_argument("--torch", help="this version of torch, whatever is lowest or newest")
    parser.add_argument("--into", type=Path, help="the environment's folder, kept [default: a temporary one]")
    asked = parser.parse_intermixed_args()
    with tempfile.TemporaryDirectory(prefix="ablate-dependencies-") as scratch:
        home = asked.into or Path(scratch) / "venv"
        install(home, RESOLUTION[asked.which], asked.torch)
        print("\n".join(versions(home)), flush=True)
        environment = os.environ | {"PATH": f"{home / 'bin'}:{os.environ['PATH']}", "RAY_USAGE_STATS_ENABLED": "0"}
        tested = subprocess.run(["pytest", "-n", "2", *asked.tests], cwd=ROOT, env=environment, check=False).returncode
        ran = subprocess.run(["ablate", "run", *SPACE], cwd=scratch, env=environment, check=False).returncode
        drawn = (Path(scratch) / "tried/report.html").is_file()
    print(f"{asked.which}: tests ended with {tested}, the run with {ran}, {'a' if drawn else 'no'} report was written")
    return int(bool(tested or ran or not drawn))


def install(home: Path, resolution: str, torch: str | None) -> None:
    uv = shutil.which("uv")
    if uv is None:
        sys.exit("uv is not on the PATH: pip install uv")
    if not (home / "bin/python").exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    wanted = [f"torch=={torch}"] if torch else []
    target = ("--python", str(home / "bin/python"))
    subprocess.run(
        [uv, "pip", "install", *target, "--resolution", resolution, "-e", ".[dev]", *wanted], cwd=ROOT, check=True
    )


def versions(home: Path) -> list[str]:
    """Of every package that pyproject.toml names, what was installed."""
    [site] = (home / "lib").glob("python*/site-packages")
    there = {found.name.lower(): found.version for found in distributions(path=[str(site)])}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = dict.fromkeys(one.partition(">=")[0].partition("[")[0] for one in asked)
    return [f"{name}=={there.get(name.lower(), 'missing')}" for name in names]


if __name__ == "__main__":
    sys.exit(main())
