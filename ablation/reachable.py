"""What of a module decides what one name in it is: the rest may change, and that name means what it did.

Left out are only functions, classes and plain values that nothing which runs refers to, by name or by a text that is
their name. Whatever runs when the module is imported stays, and where a module looks at itself all of it does.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

_LOOKS_AT_ITSELF = {
    "globals", "locals", "vars", "eval", "exec", "__import__", "import_module", "sys", "getmembers", "__dict__",
    "__subclasses__", "__init_subclass__", "__getattr__", "__module__", "_getframe",
}  # fmt: skip


def reachable(tree: ast.Module, name: str) -> ast.Module:
    """The module with what decides `name`, and whatever else runs when it is imported; whole where that cannot be told.

    >>> ast.unparse(reachable(ast.parse("def a(): b()\\ndef b(): ...\\ndef c(): ...\\nprint(1)"), "a"))
    'def a():\\n    b()\\n\\ndef b():\\n    ...\\nprint(1)'
    """
    if _LOOKS_AT_ITSELF & {*_names(tree)} or any(_is_star(node) for node in tree.body):
        return tree
    defined: dict[str, list[ast.stmt]] = {}
    kept: list[ast.stmt] = []
    for node in tree.body:
        names = _only_defines(node)
        kept += [] if names else [node]
        for one in names:
            defined.setdefault(one, []).append(node)
    if name not in defined:  # it is imported, or made by something that runs
        return tree
    waiting = [*defined.pop(name), *kept]
    found = {id(node) for node in waiting}
    while waiting:
        for used in _names(waiting.pop()):
            fresh = [node for node in defined.pop(used, []) if id(node) not in found]
            found |= {id(node) for node in fresh}
            waiting += fresh
    return ast.Module([node for node in tree.body if id(node) in found], tree.type_ignores)


def _only_defines(node: ast.stmt) -> list[str]:
    """The names that a statement gives a meaning, if it does nothing else."""
    match node:
        case ast.FunctionDef(decorator_list=[]) | ast.AsyncFunctionDef(decorator_list=[]):
            return [node.name]
        case ast.ClassDef(decorator_list=[], keywords=[]) if all(_is_harmless(one) for one in node.body):
            return [node.name]
        case ast.Assign(targets=targets, value=value) if not _calls(value):
            return [one.id for one in targets if isinstance(one, ast.Name)] if _all_names(targets) else []
        case ast.AnnAssign(target=ast.Name(one), value=value) if value is None or not _calls(value):
            return [one]
    return []


def _is_harmless(node: ast.stmt) -> bool:
    """Of a class's body: what changes nothing outside of it."""
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign, ast.Pass)
    return is_text or isinstance(node, kinds)


def _all_names(targets: list[ast.expr]) -> bool:
    return all(isinstance(one, ast.Name) for one in targets)


def _calls(value: ast.expr) -> bool:
    return any(isinstance(node, ast.Call | ast.Await | ast.NamedExpr) for node in ast.walk(value))


def _is_star(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)


def _names(tree: ast.AST) -> Iterator[str]:
    """Every name in a source, also an attribute's, and every text, which may be one."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(one) | ast.Attribute(attr=one) | ast.Constant(str(one)):
                yield one
            case ast.FunctionDef(one) | ast.AsyncFunctionDef(one) | ast.ClassDef(one):
                yield one
