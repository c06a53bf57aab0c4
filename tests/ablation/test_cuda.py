"""Whether there is CUDA, against what PyTorch says; and that PyTorch is loaded only where it may say yes."""

from __future__ import annotations

import subprocess
import sys
from importlib.machinery import ModuleSpec

import pytest
import torch

from ablate import cuda

BUILDS = {
    "cpu": "cuda: Optional[str] = None\nhip: Optional[str] = None\n",
    "cuda": "cuda: Optional[str] = '13.0'\nhip: Optional[str] = None\n",
    "rocm": "cuda: Optional[str] = None\nhip: Optional[str] = '7.0'\n",
    "unknown": "import somewhere\ncuda = somewhere.cuda\n",
}


def test_it_is_what_pytorch_says():
    """And a PyTorch that was built for the CPU alone is not loaded to say no."""
    code = """if True:
        import sys
        from ablate.cuda import has_cuda
        found, loaded = has_cuda(), "torch" in sys.modules
        import torch
        print(found is torch.cuda.is_available(), loaded and not (torch.version.cuda or torch.version.hip))
    """
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "True False\n"


@pytest.mark.parametrize("says", [True, False])
def test_pytorch_is_asked_where_it_is_loaded(monkeypatch, says):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: says)
    assert cuda.has_cuda() is says


@pytest.mark.parametrize(
    ("build", "driver", "visible", "ruled_out"),
    [
        ("cpu", True, None, True),
        ("cuda", False, None, True),
        ("cuda", True, None, False),
        ("cuda", True, "0", False),
        ("cuda", True, "", True),
        ("cuda", True, "-1", True),
        ("rocm", False, "", False),
        ("unknown", False, "", False),
    ],
)
def test_it_is_ruled_out_where_it_cannot_be(monkeypatch, tmp_path, build, driver, visible, ruled_out):
    (tmp_path / "version.py").write_text(BUILDS[build])
    spec = ModuleSpec("torch", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(cuda.importlib.util, "find_spec", lambda name: spec)
    monkeypatch.setattr(cuda, "_is_there", lambda library: driver)
    monkeypatch.setattr(cuda.sys, "platform", "linux")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert cuda._is_ruled_out() is ruled_out
