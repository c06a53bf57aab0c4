"""`ablate check`: a line for each thing that holds and that fails, and an exit code that a script can go by."""

import json
from pathlib import Path

import pytest
from inside import inside

NETS = """
import ablate
from torch import nn

class Good(ablate.Network):
    width: int = 4

    def build(self, in_channels, classes):
        return nn.Sequential(nn.Conv2d(in_channels, self.width, 3, padding=1), nn.Conv2d(self.width, classes, 1))

class Bad(nn.Module):
    def __init__(self, in_channels, classes):
        super().__init__()
        self.head = nn.Conv2d(in_channels, classes, 1)
        self.spare = nn.Conv2d(1, 1, 1)

    def forward(self, x):
        return self.head(x)

class Losses:
    pass

def overlap(logits, masks):
    return 1 - (logits.sigmoid() * masks).mean()


def unclear(one, other):
    return 1 - (one.sigmoid() * other).mean()
"""


@pytest.fixture(autouse=True)
def _beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "check_nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)


def test_what_holds_is_listed_and_ends_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, line = inside(capsys, "check", "check_nets:Good", "--set", "width=2", "--set", "model.width=3")
    assert (code, line) == (2, "--set model.width and --set width are one setting: leave one out")
    code, out, _ = inside(capsys, "check", "check_nets:Good", "--set", "model.width=3")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("network check_nets:Good, code ")
    assert "holds  gradients reach every parameter" in lines
    assert lines[-1] == f"{len(lines) - 2} of {len(lines) - 2} checks hold"
    assert max(map(len, lines)) <= 80


def test_what_fails_is_explained_and_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, line = inside(capsys, "check", "check_nets:Bad")
    assert (code, line) == (1, "")
    assert "fails  gradients reach every parameter\n       spare.weight has no gradient" in out
    assert out.splitlines()[-1].endswith("checks hold, 1 fail")


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = inside(capsys, "check", "check_nets:Bad", "--json")
    found = json.loads(out)
    assert (code, found["kind"], found["name"], found["holds"]) == (1, "network", "check_nets:Bad", False)
    failing = [one for one in found["checks"] if not one["holds"]]
    assert [one["name"] for one in failing] == ["gradients reach every parameter"]
    assert "spare.weight" in failing[0]["problem"]


def test_parts_of_libraries_are_tried_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = inside(capsys, "check", "torch.optim:NAdam")
    assert code == 0
    assert out.startswith("optimizer torch.optim:NAdam, torch ")


def test_a_function_is_tried_as_what_the_user_says_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, line = inside(capsys, "check", "check_nets:unclear")
    assert code == 2
    assert line.startswith("check_nets:unclear may be of any kind: say which by --kind (network, data set, loss")
    for asked in (["check_nets:unclear", "--kind", "loss"], ["check_nets:overlap"]):
        code, out, _ = inside(capsys, "check", *asked)
        assert out.startswith(f"loss {asked[0]}, code ")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nothing_here:Net"], "there is no module nothing_here"),
        (["check_nets:Godo"], "did you mean 'Good'?"),
        (["unett"], "unknown part 'unett': did you mean 'unet'?"),
        (["check_nets:Good", "--set", "widht=3"], "there is no field 'widht', did you mean 'width'?"),
        (["check_nets:Good", "--set", "width=wide"], "width: Input should be a valid integer"),
        (["check_nets:Good", "--set", "width"], "--set width: expected a setting, then =value (width=8)"),
        (["check_nets:Good", "--set", "loss.width=3"], "there is no field 'loss.width'"),
        (["check_nets:Good", "--kind", "netwrok"], "unknown kind 'netwrok': did you mean 'network'?"),
        (["check_nets:Good", "--input", "32"], "expected channels x height x width"),
        (["check_nets:Good", "--data-dir", "x"], "leave it out"),
        (["check_nets:Good", "--code", "nowhere"], "--code 'nowhere' is not a folder"),
        (["dice", "--classes", "3"], "--classes 3: belongs to a network; leave it out"),
        (["check_nets:Losses"], "may be of any kind"),
    ],
)
def test_what_cannot_be_tried_is_one_line_and_ends_with_2(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, said = inside(capsys, "check", *arguments)
    assert (code, out) == (2, "")
    assert line in said
    assert "\n" not in said
