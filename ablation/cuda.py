"""Whether there is CUDA here: without loading PyTorch, which takes seconds, wherever it can be ruled out."""

from __future__ import annotations

import ast
import ctypes
import importlib.util
import os
import sys
from pathlib import Path

_DRIVER = "libcuda.so.1"


def has_cuda() -> bool:
    """What `torch.cuda.is_available()` says. PyTorch is asked where it is loaded already, or wherever it may say yes:
    a driver that is there may be too old for it, or have no card."""
    if "torch" not in sys.modules and _is_ruled_out():
        return False
    import torch

    return torch.cuda.is_available()


def _is_ruled_out() -> bool:
    """Whether PyTorch was built without CUDA (and ROCm, which it calls so too), or has none to find: no driver on
    Linux, or all cards hidden."""
    platforms = _built_for()
    if platforms is None:
        return False
    if not platforms:
        return True
    if platforms != {"cuda"}:
        return False
    return os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1") or (sys.platform == "linux" and not _is_there(_DRIVER))


def _built_for() -> set[str] | None:
    """`cuda`, `hip`, neither or both, as PyTorch's own `version.py` has it; None where that does not tell."""
    spec = importlib.util.find_spec("torch")
    try:
        tree = ast.parse(Path(str(spec and spec.origin)).with_name("version.py").read_text(encoding="utf-8"))
        versions = {
            node.target.id: ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None
        }
        return {name for name in ("cuda", "hip") if versions[name] is not None}
    except (OSError, SyntaxError, ValueError, KeyError):
        return None


def _is_there(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
