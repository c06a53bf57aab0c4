"""Parsed source as text: the same whatever its layout, comments and docstrings, and in each version of Python."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

_PACKAGE = "ablate"


def meaning(tree: ast.AST) -> str:
    """A parsed source as text. (`ast.dump` is not the same: versions differ in which empty fields they show.)"""
    return f"{type(tree).__name__}({','.join(_fields(tree))})"


def _fields(node: ast.AST) -> Iterator[str]:
    for name, value in ast.iter_fields(node):
        if name == "body" and isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            value = _without_docstring(value)
        if value is None or value == [] or name in ("type_comment", "type_ignores", "kind"):
            continue
        if name == "module":  # what this package is called decides nothing
            value = value.removeprefix(f"{_PACKAGE}.")
        yield f"{name}={_text(value)}"


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    """Without strings that stand alone: docstrings, and those after an attribute."""
    return [node for node in body if not (isinstance(node, ast.Expr) and _is_text(node.value))]


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    return meaning(value) if isinstance(value, ast.AST) else f"{type(value).__name__}:{value!r}"


def imports(tree: ast.Module, module: str, *, is_package: bool) -> Iterator[str]:
    """What `module`, whose source is `tree`, may import, anywhere in it: of `from a import b`, both `a` and `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: len(module.split(".")) - node.level + is_package] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
