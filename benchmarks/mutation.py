"""Do the tests protect the numbers? Edits of the numeric core, one at a time, and whether its own tests notice.

    python benchmarks/mutation.py --count 160
    python benchmarks/mutation.py --every --only analysis/pareto.py

An edit turns a comparison, an operation, a constant, a choice (min for max) or a condition of a module into its
neighbour, in a copy of the package; bounds of what may be asked, texts and types are left alone. Then the module's
tests, which run in seconds to minutes, are run on that copy. An edit that none of them fails by survives. The baseline
is the copy without an edit: all must pass there. Which edits are tried is drawn by `--seed`, as many of each module as
its share of all that there are; with `--every`, all of them are tried.
"""

from __future__ import annotations

import argparse
import ast
import math
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).parents[1]
PACKAGES = {"": "ablation", "analysis": "analysis", "runners": "runners", "search_spaces": "search_spaces"}
_CONFIGURATION = ("ablation/test_settings.py", "ablation/test_trial.py", "ablation/test_kept_keys.py")
TESTS = {
    "ablation/settings.py": _CONFIGURATION,
    "ablation/models/settings.py": _CONFIGURATION,
    "ablation/data/settings.py": _CONFIGURATION,
    "ablation/trial.py": _CONFIGURATION,
    "ablation/metrics/counts.py": ("ablation/metrics/test_counts.py",),
    "ablation/prediction.py": ("ablation/test_prediction.py", "ablation/study/test_samples.py"),
    "ablation/training/loop.py": ("ablation/training/test_loop.py",),
    "ablation/training/checkpoint.py": ("ablation/training/test_loop.py",),
    "ablation/training/inference.py": ("ablation/training/test_loop.py",),
    "ablation/training/heads.py": ("ablation/training/test_losses.py",),
    "ablation/training/losses/cross_entropy.py": ("ablation/training/test_losses.py",),
    "ablation/training/devices.py": ("ablation/training/test_loop.py",),
    "ablation/training/augmentation.py": ("ablation/training/test_augmentation.py",),
    "ablation/data/dataset.py": ("ablation/data/test_dataset.py", "ablation/data/test_sources.py"),
    "ablation/data/writing.py": ("ablation/data/test_writing.py",),
    "ablation/data/images.py": ("ablation/data/test_image_files.py", "ablation/data/test_sources.py"),
    "ablation/data/masks.py": ("ablation/data/test_masks.py", "ablation/data/test_sources.py"),
    "ablation/data/splits.py": ("ablation/data/test_splits.py",),
    "analysis/claims/evaluate.py": ("analysis/claims/test_claims.py",),
    "analysis/claims/judge.py": ("analysis/claims/test_claims.py",),
    "analysis/pareto.py": ("analysis/test_pareto.py",),
    "analysis/scores.py": ("analysis/test_scores.py", "analysis/test_significance.py", "analysis/test_frames.py"),
    "analysis/crossed.py": ("analysis/test_significance.py",),
    "analysis/significance.py": ("analysis/test_significance.py",),
    "runners/search/stopping.py": ("runners/search/test_standings.py", "runners/search/test_stopping.py"),
    "search_spaces/designs.py": ("search_spaces/test_designs.py",),
}
"""Keys and cells, metrics, preparation, splits, training and selection, significance, fronts, claims, schedulers."""
LIMIT_SECONDS, LIMIT_TIMES, LIMIT_BYTES = 60.0, 10.0, 4 * 2**30
"""What takes longer than this and than so many times the baseline, or more memory, has no end, and is noticed."""
_HEAVY = (
    "torch", "pandas", "scipy.stats", "scipy.optimize", "pydantic", "optuna", "pytest", "hypothesis", "ptflops",
    "ray.tune",
)  # fmt: skip

_COMPARED = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"), ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="), ast.Is: ("is", "is not"), ast.IsNot: ("is not", "is"), ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}  # fmt: skip
_COMPUTED = {
    ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"), ast.FloorDiv: ("//", "/"),
    ast.Mod: ("%", "//"), ast.Pow: ("**", "*"),
}  # fmt: skip
_BOUNDS = ("ge", "le", "gt", "lt", "max_length", "min_length", "strict")
"""What may be asked at most, and what never decides: these are left alone."""
_SWAPPED = {"min": "max", "max": "min", "argmin": "argmax", "argmax": "argmin", "any": "all", "all": "any"} | {
    "mean": "sum", "cumsum": "cumprod", "floor": "ceil", "ceil": "floor", "minimum": "maximum", "maximum": "minimum",
    "idxmax": "idxmin", "idxmin": "idxmax",
}  # fmt: skip


class Edit(NamedTuple):
    """Characters `start` to `end` of a module become `new`."""

    module: str
    line: int
    start: int
    end: int
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.module}:{self.line}  {self.old.strip()} -> {self.new.strip()}"


# Edits ---------------------------------------------------------------------------------------------------------------


def edits_of(module: str) -> list[Edit]:
    """Every edit of a module, in its order. What is said to people (raise, texts) and types are left alone."""
    source = (PROJECT / module).read_text()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line.encode()))
    content = source.encode()

    def at(line: int, column: int) -> int:
        return starts[line - 1] + column

    def replaced(node: ast.expr, new: str) -> Edit:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start, end = at(node.lineno, node.col_offset), at(node.end_lineno, node.end_col_offset)
        return Edit(module, node.lineno, start, end, content[start:end].decode(), new)

    def between(left: ast.expr, right: ast.expr, old: str, new: str) -> Iterator[Edit]:
        assert left.end_lineno is not None
        assert left.end_col_offset is not None
        start, end = at(left.end_lineno, left.end_col_offset), at(right.lineno, right.col_offset)
        found = content[start:end].decode()
        if found.count(old) == 1:
            where = start + found.index(old)
            line = left.end_lineno + found[: found.index(old)].count("\n")
            yield Edit(module, line, where, where + len(old), old, new)

    def walk(node: ast.AST) -> Iterator[Edit]:
        if isinstance(node, ast.Raise | ast.JoinedStr | ast.Assert | ast.If) and (
            not isinstance(node, ast.If) or _is_type_checking(node)
        ):
            return
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            old, new = _COMPARED[type(node.ops[0])]
            yield from between(node.left, node.comparators[0], old, new)
        elif isinstance(node, ast.BinOp) and type(node.op) in _COMPUTED and not _is_text(node):
            old, new = _COMPUTED[type(node.op)]
            yield from between(node.left, node.right, old, new)
        elif isinstance(node, ast.BoolOp):
            old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            for left, right in zip(node.values, node.values[1:], strict=False):
                yield from between(left, right, old, new)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield replaced(node, ast.unparse(node.operand))
        elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
            yield replaced(node, _other(node.value))
        elif isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in _SWAPPED:
                yield replaced(node.func, f"{ast.unparse(node.func).removesuffix(name)}{_SWAPPED[name]}")
        if isinstance(node, ast.keyword) and node.arg in _BOUNDS:
            return
        for field, inner in ast.iter_fields(node):
            if field in ("annotation", "returns", "type_params", "decorator_list"):
                continue
            for one in inner if isinstance(inner, list) else [inner]:
                if isinstance(one, ast.AST):
                    yield from walk(one)

    return sorted(set(walk(ast.parse(source))), key=lambda edit: (edit.start, edit.new))


def _is_type_checking(node: ast.If) -> bool:
    return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _is_text(node: ast.BinOp) -> bool:
    ends = (node.left, node.right)
    return any(
        isinstance(end, ast.JoinedStr) or (isinstance(end, ast.Constant) and isinstance(end.value, str)) for end in ends
    )


def _other(value: bool | int | float) -> str:
    if isinstance(value, bool):
        return str(not value)
    return str(value + 1) if isinstance(value, int) else repr(value * 1.5 if value else 0.5)


def drawn(count: int, seed: int, modules: list[str]) -> list[Edit]:
    """About `count` edits, of each module its share, at least five."""
    found = {module: edits_of(module) for module in modules}
    total = sum(map(len, found.values()))
    draw = random.Random(seed)
    chosen: list[Edit] = []
    for edits in found.values():
        share = min(len(edits), max(5, round(count * len(edits) / total)))
        chosen += sorted(draw.sample(edits, share), key=lambda edit: edit.start)
    return chosen


# Running -------------------------------------------------------------------------------------------------------------


def copied(folder: Path) -> Path:
    """The package as a wheel has it, with where its command begins."""
    ignored = shutil.ignore_patterns("__pycache__")
    for name, own in PACKAGES.items():
        shutil.copytree(PROJECT / own, folder / "ablate" / name, ignore=ignored, dirs_exist_ok=True)
    shutil.copy(PROJECT / "ablate_command.py", folder)
    return folder


def in_copy(module: str) -> Path:
    return Path("ablate", module.removeprefix("ablation/"))


def _test(folder: str, tests: list[str]) -> None:
    """In a process of its own: run tests on the package in `folder`; the exit code is pytest's."""
    import hypothesis
    import pytest

    os.setsid()
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT_BYTES, LIMIT_BYTES))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    sys.path.insert(0, folder)
    sys.dont_write_bytecode = True
    os.environ |= {"PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
    os.chdir(PROJECT)
    # A failure is enough: no example is made smaller.
    unshrunk = [phase for phase in hypothesis.Phase if phase.name not in ("shrink", "explain")]
    hypothesis.settings.register_profile("unshrunk", hypothesis.settings.get_profile("ci"), phases=unshrunk)
    plain = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", f"--basetemp={folder}/tmp"]
    plain += ["--hypothesis-profile=unshrunk"]
    os._exit(pytest.main([*plain, *(f"tests/{test}" for test in tests)]))


def survives(folder: Path, tests: tuple[str, ...], limit: float | None = None) -> tuple[bool, float]:
    """Whether all of the tests pass on the package in `folder`, within `limit` seconds, and the seconds they took."""
    process = get_context("fork").Process(target=_test, args=(str(folder), list(tests)))
    started = time.monotonic()
    process.start()
    process.join(limit)
    if process.is_alive():
        assert process.pid is not None
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
    return process.exitcode == 0, time.monotonic() - started


def tried(edit: Edit, limit: float) -> tuple[bool, float]:
    with tempfile.TemporaryDirectory(prefix="mutant-", ignore_cleanup_errors=True) as name:
        folder = copied(Path(name))
        file = folder / in_copy(edit.module)
        content = file.read_bytes()
        file.write_bytes(content[: edit.start] + edit.new.encode() + content[edit.end :])
        return survives(folder, TESTS[edit.module], limit)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=160)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", action="store_true", help="try all edits of the modules, and draw none")
    parser.add_argument("--only", action="append", choices=TESTS, help="this module; may be given again")
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    parser.add_argument("--list", action="store_true", help="say what would be tried, and try nothing")
    options = parser.parse_args()
    modules = options.only or list(TESTS)
    edits = [edit for module in modules for edit in edits_of(module)]
    if not options.every:
        edits = drawn(options.count, options.seed, modules)
    if options.list:
        print(*edits, sep="\n")
        return
    for name in _HEAVY:  # a fork of this process has them
        __import__(name)
    limits: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        folder = copied(Path(name))
        for module in modules:
            passes, seconds = survives(folder, TESTS[module])
            print(f"{module}: its tests take {seconds:.0f} s, {'and pass' if passes else 'AND FAIL'}", flush=True)
            if not passes:
                sys.exit(f"{module}: its tests must pass without an edit")
            limits[module] = max(LIMIT_SECONDS, LIMIT_TIMES * seconds)
    survivors: list[Edit] = []
    of = Counter(edit.module for edit in edits)
    with ThreadPoolExecutor(options.jobs) as pool:
        tries = pool.map(lambda edit: tried(edit, limits[edit.module]), edits)
        for number, (edit, (lives, seconds)) in enumerate(zip(edits, tries, strict=True), 1):
            survivors += [edit] if lives else []
            print(f"[{number}/{len(edits)}] {'SURVIVES' if lives else 'noticed'} {edit} ({seconds:.0f} s)", flush=True)
    alive = Counter(edit.module for edit in survivors)
    print()
    for module in modules:
        print(f"{module:32} {of[module] - alive[module]:3} of {of[module]:3} noticed")
    share = 1 - len(survivors) / len(edits) if edits else math.nan
    print(f"{'all':32} {len(edits) - len(survivors):3} of {len(edits):3} noticed: {share:.0%}")
    print(*(f"survives: {edit}" for edit in survivors), sep="\n")


if __name__ == "__main__":
    main()
