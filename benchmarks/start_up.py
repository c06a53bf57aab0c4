"""What answers at once: CPU seconds of commands that train nothing, and a network's price against counting it built.

    python benchmarks/start_up.py [--before /path/to/another/venv/bin/ablate]

CPU seconds are those of the whole process, user and system, with all of its threads: medians and least of five runs,
which alternate with those of the version `--before`, if one is given. Each version has a study of its own to look at,
the five networks of `pyramid_levels` trained for two epochs at 32x32, and an own cache, filled by that. The price is
that of `ablate.cost.counted` at 3x512x512; the baseline is the same network built on PyTorch's meta device and counted
by ptflops, which is how networks of others are priced.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ablate.cost import counted
from ablate.cost.built import built_cost
from ablate.kinds import KINDS, own_parts
from ablate.models.network import network
from ablate.search_spaces.space import packaged

SIZE = (512, 512)
REPEATS = 5
CONFIGURATIONS = 200
TINY = ("--space", "pyramid_levels", "--set", "protocol.epochs=2", "--set", "data.size=[32,32]", "--study", "study")
COMMANDS = {
    "--help": ("--help",),
    "plan": ("plan", "--space", "pyramid_levels"),
    "plan, a search space": ("plan", "--space", "search_pyconvunet"),
    "plan, phantoms": ("plan", "--space", "boundary_blur"),
    "status": ("status", "study"),
    "report": ("report", "study"),
    "run, nothing to do": ("run", *TINY),
    f"plan of {CONFIGURATIONS}": ("plan", "--space", "many.yaml"),
}


def cpu_seconds(command: list[str], folder: Path) -> float:
    """User and system time of the process with its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"ABLATE_CACHE": str(folder / "cache"), "PYTHONPYCACHEPREFIX": str(folder / "pyc")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed version has its bytecode
    subprocess.run(command, check=True, capture_output=True, cwd=folder, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def prepared(ablate: str, folder: Path) -> Path:
    """A folder with a finished study of that version, and a space of many configurations."""
    folder.mkdir()
    space = packaged()["search_pyconvunet"].read_text(encoding="utf-8")
    many = space.replace("samples: 24", f"samples: {CONFIGURATIONS}").replace("name: search_pyconvunet", "name: many")
    (folder / "many.yaml").write_text(many, encoding="utf-8")
    for command in (("run", *TINY), *COMMANDS.values()):
        cpu_seconds([ablate, *command], folder)
    return folder


def commands(here: str, before: str | None) -> None:
    versions = {"now": here} | ({"before": before} if before else {})
    with tempfile.TemporaryDirectory() as base:
        folders = {name: prepared(path, Path(base, name)) for name, path in versions.items()}
        for label, arguments in COMMANDS.items():
            times: dict[str, list[float]] = {name: [] for name in versions}
            for _ in range(REPEATS):
                for name, path in versions.items():
                    times[name].append(cpu_seconds([path, *arguments], folders[name]))
            medians = {name: statistics.median(found) for name, found in times.items()}
            line = f"{label:22} {medians['now']:5.2f} s (least {min(times['now']):.2f})"
            if before:
                line += f", before {medians['before']:5.2f} s (least {min(times['before']):.2f})"
                line += f", ratio {medians['now'] / medians['before']:.2f}"
            if arguments[-1] == "many.yaml":
                line += f"; {1000 * medians['now'] / CONFIGURATIONS:.1f} ms a configuration, all told"
            print(line, flush=True)


def seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def prices() -> None:
    for name in own_parts(KINDS["network"]):
        asked = network(name), 3, 1, SIZE
        built_cost(*asked)  # PyTorch loads what its meta device needs
        pairs = [
            (
                seconds(lambda asked=asked: counted._priced.__wrapped__(*asked)),
                seconds(lambda asked=asked: built_cost(*asked)),
            )
            for _ in range(REPEATS)
        ]
        ours, built = (statistics.median(times) for times in zip(*pairs, strict=True))
        print(
            f"{name:16} {1000 * ours:5.1f} ms from its shapes, {1000 * built:5.0f} ms built, ratio {built / ours:.0f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", help="the `ablate` command of another version")
    commands(str(Path(sys.executable).parent / "ablate"), parser.parse_args().before)
    prices()


if __name__ == "__main__":
    main()
