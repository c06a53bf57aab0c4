"""The layers of the house: imports go down only, and `runners` and `analysis` do not know each other."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import ablate
from ablate.kinds import KINDS
from ablate.modules import load

ROOT = Path(__file__).parents[1]
FOLDERS = ("ablation", "search_spaces", "analysis", "runners")
MAY_IMPORT = {
    "ablation": set(),
    "search_spaces": {"ablation"},
    "analysis": {"ablation", "search_spaces"},
    "runners": {"ablation", "search_spaces"},
    "runners/cli": {"ablation", "search_spaces", "analysis", "runners"},
}
ROOF = {("runners", name) for name in ("cli", "run.py", "trainer.py", "conclusion.py")}
"""Where training and analysis meet: the command line, and a run as a function."""


def layer_of_file(file: Path) -> str:
    parts = file.relative_to(ROOT).parts
    return "runners/cli" if parts[:2] in ROOF else parts[0]


def layer_of_module(name: str) -> str:
    """Where a module of `ablate` is: its subpackages are folders of the checkout, and the rest is in `ablation`."""
    parts = name.split(".")[1:]
    if tuple(parts[:2]) in {(folder, name.removesuffix(".py")) for folder, name in ROOF}:
        return "runners/cli"
    return parts[0] if parts and parts[0] in FOLDERS else "ablation"


def imported(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{file.relative_to(ROOT)} has a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    assert not {name for name in names if name.split(".")[0] in FOLDERS}, f"{file.relative_to(ROOT)} imports a folder"
    return {name for name in names if name.split(".")[0] == "ablate"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_imports_go_down_only(folder):
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    for file in files:
        if file == ROOT / "ablation" / "__init__.py":
            continue  # what is given to users is from everywhere, and only when it is asked for: see below
        own = layer_of_file(file)
        for name in imported(file):
            layer = layer_of_module(name)
            assert layer == own or layer in MAY_IMPORT[own], f"{file.relative_to(ROOT)} imports {name}"


def module_name(file: Path) -> str:
    folder, *parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(["ablate", *([] if folder == "ablation" else [folder]), *parts]).removesuffix(".__init__")


def ran(node: ast.AST) -> Iterator[ast.AST]:
    """What is in a source, but for what only type checkers read."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)):
            yield child
            yield from ran(child)


def test_no_module_imports_another_in_a_circle():
    """Neither when it is imported, nor when a function of it runs."""
    files = {module_name(file): file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")}
    del files["ablate"]  # what is given to users is from everywhere
    graph = {}
    for module, file in files.items():
        froms = [node for node in ran(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]
        names = {f"{node.module}.{alias.name}" for node in froms for alias in node.names}
        graph[module] = {name if name in files else name.rpartition(".")[0] for name in names} & files.keys()
    assert sum(map(len, graph.values())) > 500
    TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_file_and_a_function_are_read_in_one_sitting(folder):
    for file in (ROOT / folder).rglob("*.py"):
        source = file.read_text()
        assert source.count("\n") <= 400, f"{file.relative_to(ROOT)} has another subject in it"
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno - node.lineno < 60, f"{file.relative_to(ROOT)}: {node.name}"


def test_the_package_itself_imports_nothing():
    code = "import ablate, sys; assert ablate.DISTRIBUTION; print([name for name in sys.modules if 'ablate.' in name])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
    for name in ("run", "Study", "PyConv2d", "Sample"):
        assert name in dir(ablate)
        assert callable(getattr(ablate, name))
    with pytest.raises(AttributeError, match="has no attribute 'runs'"):
        ablate.runs  # noqa: B018


def test_the_base_of_every_kind_is_a_public_name():
    names = {getattr(ablate, name) for name in dir(ablate) if name[0].isupper() and name != "DISTRIBUTION"}
    assert {load(kind.base) for kind in KINDS.values()} <= names


def test_every_folder_is_installed_as_a_part_of_the_one_package():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {folder.parent.relative_to(ROOT) for name in FOLDERS for folder in (ROOT / name).rglob("__init__.py")}
    modules = {folder.relative_to(ROOT).parts for name in FOLDERS for folder in (ROOT / name).rglob("*.py")}
    assert folders == {Path(*parts[:-1]) for parts in modules}
    names = {".".join(("ablate", *folder.parts)).replace("ablate.ablation", "ablate") for folder in folders}
    assert sorted(names) == settings["packages"]


def test_no_two_test_files_share_a_name():
    """pytest imports them by it, and tells only when all are collected."""
    names = [file.name for file in (ROOT / "tests").rglob("*.py") if file.name not in ("__init__.py", "conftest.py")]
    assert sorted(names) == sorted(set(names))
