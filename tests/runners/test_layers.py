"""The layers of the house: imports go down only, and `runners` and `analysis` do not know each other."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAY_IMPORT = {
    "ablation": set(),
    "search_spaces": {"ablation"},
    "analysis": {"ablation", "search_spaces"},
    "runners": {"ablation", "search_spaces"},
    "runners/cli": {"ablation", "search_spaces", "analysis", "runners"},
}
PACKAGES = {"ablation", "search_spaces", "analysis", "runners"}


def layer(file: Path) -> str:
    parts = file.relative_to(ROOT).parts
    return "runners/cli" if parts[:2] == ("runners", "cli") else parts[0]


def imported(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name for name in names if name.split(".")[0] in PACKAGES}


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_imports_go_down_only(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for file in files:
        own = layer(file)
        for name in imported(file):
            top = name.split(".")[0]
            assert top == own.split("/")[0] or top in MAY_IMPORT[own], f"{file.relative_to(ROOT)} imports {name}"
            assert own == "runners/cli" or not name.startswith("runners.cli"), (
                f"{file.relative_to(ROOT)} imports {name}"
            )
