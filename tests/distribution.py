"""What is published: a source distribution, the wheel that is built of it, and what is in both.

    python tests/distribution.py

Builds them (with `build`) in a copy, compares what they hold with what git has, installs the wheel without its
dependencies into a folder of its own and asks its command for the packaged spaces. `.ci/run` calls it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
FOLDERS = {"ablation": "ablate", "analysis": "ablate/analysis", "runners": "ablate/runners"}
FOLDERS["search_spaces"] = "ablate/search_spaces"
NOT_PUBLISHED = (".ci/", ".github/", ".gitignore", ".pre-commit-config.yaml")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ablate-distribution-") as scratch:
        made = Path(scratch) / "dist"
        run(sys.executable, "-m", "build", "--outdir", str(made), str(copied(Path(scratch) / "source")))
        check_versions()
        [source], [wheel] = made.glob("*.tar.gz"), made.glob("*.whl")
        with tarfile.open(source) as archive:
            names = {name.partition("/")[2] for name in archive.getnames()}
        check("source distribution", {file for file in tracked() if not file.startswith(NOT_PUBLISHED)}, names)
        held = set(zipfile.ZipFile(wheel).namelist())
        package = {in_wheel(file) for file in tracked() if file.split("/")[0] in FOLDERS}
        check("wheel", package | {"ablate/py.typed", "ablate_command.py"}, held)
        more = sorted(name for name in held - package if not name.startswith("ablate_"))
        assert not more, f"the wheel holds {more[:8]} too"
        home = Path(scratch) / "installed"
        run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(home), str(wheel))
        command = "import ablate_command; ablate_command.main()"
        said = run(sys.executable, "-c", command, "spaces", cwd=scratch, PYTHONPATH=str(home))
        assert "pyramid_levels" in said, said
        assert any(name.endswith("licenses/LICENSE") for name in held), "the wheel has no licence"
        print(f"{source.name}: {len(names)} files; {wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB, installed, runs")


def check_versions() -> None:
    """That what is cited is what is published."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"]
    assert cited == version, f"CITATION.cff is of {cited}, pyproject.toml of {version}"


def copied(to: Path) -> Path:
    """The tracked files alone: what lies about in a checkout is no part of what is published."""
    for file in tracked():
        (to / file).parent.mkdir(parents=True, exist_ok=True)
        (to / file).write_bytes((ROOT / file).read_bytes())
    return to


def tracked() -> list[str]:
    return [file for file in run("git", "ls-files", cwd=str(ROOT)).splitlines() if (ROOT / file).is_file()]


def in_wheel(file: str) -> str:
    folder, _, rest = file.partition("/")
    return f"{FOLDERS[folder]}/{rest}"


def check(what: str, wanted: set[str], had: set[str]) -> None:
    missing = sorted(wanted - had)
    assert not missing, f"the {what} lacks {len(missing)} files: {missing[:8]}"
    strange = sorted(name for name in had if "__pycache__" in name or name.endswith((".pyc", ".so")))
    assert not strange, f"the {what} holds {strange[:8]}"


def run(*command: str, cwd: str | None = None, **environment: str) -> str:
    done = subprocess.run(command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr[-2000:]}"
    return done.stdout


if __name__ == "__main__":
    main()
