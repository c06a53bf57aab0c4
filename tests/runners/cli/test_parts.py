"""`ablate parts`: whatever can be named, and whatever it can be set to, is shown by a command."""

import json
from pathlib import Path

import pytest
from inside import inside

from ablate.data.settings import DataSource
from ablate.documented import settings_of
from ablate.kinds import KINDS, find, own_parts
from ablate.trial import Protocol


def test_every_part_of_every_kind_is_listed_with_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = inside(capsys, "parts")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    for kind in KINDS.values():
        assert f"{kind.name}  {kind.what}" in out
        for name in own_parts(kind):
            assert f"  {name} " in out
    found = json.loads(inside(capsys, "parts", "--json").out)
    assert {kind: set(one["parts"]) for kind, one in found.items()} == {
        kind.name: set(own_parts(kind)) for kind in KINDS.values()
    }
    assert all(line for one in found.values() for line in one["parts"].values())


@pytest.mark.parametrize("name", ["loss", "losses", "data-set", "data_sets", "model", "network"])
def test_a_kind_may_be_said_in_several_ways(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = json.loads(inside(capsys, "parts", name, "--json").out).items()
    assert found[0].startswith({"m": "network", "n": "network", "d": "data set", "l": "loss"}[name[0]])


@pytest.mark.parametrize(("kind", "name"), [(kind.name, name) for kind in KINDS.values() for name in own_parts(kind)])
def test_every_setting_of_every_part_is_shown(kind: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = inside(capsys, "parts", name, "--kind", kind)
    known = set(find(KINDS[kind], name).target.model_fields) - {"name", "fingerprint"}
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    shown = {line.split(" ")[0].rstrip(",").rpartition(".")[2] for line in out.splitlines() if line[:1].islower()}
    assert known <= shown


def test_a_setting_has_its_type_its_bounds_its_default_and_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    out = inside(capsys, "parts", "phantom").out
    assert "data.count = 60  (whole number, 5 to 10,000)\n" in out
    assert "data.channels = 1  (whole number, 1 to 256)\n    Input channels: grey images are repeated for 3" in out
    out = inside(capsys, "parts", "pyconvunet").out
    assert "model.kernels = [3, 5, 7, 9]  (list of whole numbers or" in out
    assert "model.block = plain  (plain | bottleneck | published)\n" in out


@pytest.mark.parametrize(("name", "config"), [("protocol", Protocol), ("data", DataSource)])
def test_what_every_trial_has_is_shown_too(name: str, config: type, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = json.loads(inside(capsys, "parts", name, "--json").out)
    shown = {one["name"].split(".")[1] for one in found["settings"]}
    assert shown == set(config.model_fields) - {"fingerprint"}
    if name == "protocol":
        assert {"protocol.split.fold", "protocol.epochs"} <= {one["name"] for one in found["settings"]}


def test_a_library_s_part_shows_its_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    out = inside(capsys, "parts", "torch.optim:NAdam").out
    assert out.startswith("optimizer torch.optim:NAdam\n")
    assert "optimizer.momentum_decay = 0.004  (float)\n    momentum momentum_decay" in out
    assert "optimizer.lr = " in out
    given = {one.name: one for one in settings_of(find(KINDS["network"], "monai.networks.nets:SegResNet").target)}
    assert given["blocks_down"].what.startswith("number of down sample blocks")
    assert given["use_conv_final"].choices == (True, False)


def test_settings_of_a_user_s_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "parts_nets.py").write_text(
        "from typing import Literal\n"
        "import ablate\n\n"
        "class Net(ablate.Network):\n"
        '    """A net of mine. It has more to say."""\n\n'
        "    width: int\n"
        "    gate: Literal['se', 'none'] | None = 'se'  # what weighs the channels\n"
        "    deep: bool = True\n"
        '    """Heads at\n    every stage."""\n'
    )
    monkeypatch.chdir(tmp_path)
    out = inside(capsys, "parts", "parts_nets:Net").out
    assert "model.width, to be given  (whole number)\n" in out
    assert "model.gate = se  (se | none or null)\n    what weighs the channels\n" in out
    assert "model.deep = true  (true or false)\n    Heads at every stage.\n" in out
    (found,) = json.loads(inside(capsys, "parts", "parts_nets:Net", "--json").out)
    assert [one["required"] for one in found["settings"]] == [True, False, False]
    assert [one["default"] for one in found["settings"]] == [None, "se", True]
    assert found["settings"][1]["choices"] == ["se", "none", None]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["unett"], "unknown part 'unett': did you mean 'unet'?"),
        (["nowhere:Net"], "there is no module nowhere"),
        (["unet", "--kind", "loss"], "unknown loss 'unet'"),
    ],
)
def test_a_name_that_is_none_is_one_line(arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, said = inside(capsys, "parts", *arguments)
    assert code == 2
    assert line in said
