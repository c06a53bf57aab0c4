"""What a shell completes, through click's own mechanism."""

from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from ablate.kinds import KINDS, own_parts
from ablate.runners.cli.main import ablate
from ablate.search_spaces.space import packaged


def completed(*arguments: str) -> set[str]:
    """What the last of these may become."""
    found = ShellComplete(ablate, {}, "ablate", "_ABLATE_COMPLETE").get_completions(list(arguments[:-1]), arguments[-1])
    return {one.value for one in found if one.type == "plain"}


def test_spaces() -> None:
    assert completed("plan", "--space", "") == set(packaged())
    assert completed("run", "--space", "pyr") == {"pyramid_levels", "pyramid_shares"}
    assert completed("cost", "--space", "base") == {"baselines"}


def test_kinds_and_parts() -> None:
    every = {name for kind in KINDS.values() for name in own_parts(kind)}
    assert completed("check", "") == every
    assert completed("check", "unet", "--kind", "") == set(KINDS)
    assert completed("parts", "") == every | set(KINDS) | {"protocol", "data"}
    assert completed("plan", "--model", "pyc") == {"pyconvunet"}
    assert completed("run", "--data", "phan") == {"phantom"}


def test_fields() -> None:
    assert completed("plan", "--set", "protocol.ep") == {"protocol.epochs="}
    assert "protocol.split.fold=" in completed("plan", "--set", "protocol.split.f")
    assert completed("plan", "--set", "model.w") == set()
    assert completed("plan", "--model", "pyconvunet", "--set", "model.w") == {"model.width="}
    assert completed("plan", "--space", "kernel_sizes", "--set", "model.sh") == {"model.share="}
    assert completed("plan", "--space", "boundary_blur", "--set", "data.bl") == {"data.blur="}
    assert completed("cost", "--model", "unet", "--set", "model.st") == {"model.stages="}
    assert completed("check", "unet", "--set", "st") == {"stages="}


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "--space", "nothing.yaml", "--set", "model."),
        ("check", "no_such_part", "--set", "x"),
        ("check", "evil:Net", "--set", "x"),
        ("plan", "--model", "evil:Net", "--set", "model."),
        ("nonsense", "--set", ""),
    ],
)
def test_what_cannot_be_completed_says_nothing_and_imports_nothing(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "evil.py").write_text("raise RuntimeError('imported')")
    monkeypatch.chdir(tmp_path)
    assert all(one in arguments or one not in ("x", "model.") for one in completed(*arguments))
