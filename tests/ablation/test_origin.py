"""What made a trial: a hash of the code that decides its numbers, and of nothing else."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from ablate import origin
from ablate.data.settings import Folder, Mni152, Phantom
from ablate.kinds import KINDS, own_parts
from ablate.models.settings import PyConvUNet, ResNet34UNet, UNet, UNetPlusPlus
from ablate.modules import load
from ablate.origin import APART, Origin, meaning, mixed, modules_of, origin_of
from ablate.part import Part
from ablate.trial import TrialConfig


def trial(model=None, data=None) -> TrialConfig:
    return TrialConfig(model=model or UNet(), data=data or Phantom())


def said(source: str) -> str:
    return meaning(ast.parse(source))


BLOCK = '''
def conv(width: int, kernel: int = 3) -> int:
    """A docstring."""
    # a comment
    return width * kernel
'''


@pytest.mark.parametrize(
    "same",
    [
        BLOCK.replace("# a comment", "# another\n\n"),
        BLOCK.replace("A docstring.", "Another: shapes, units."),
        BLOCK.replace('    """A docstring."""\n', ""),
        BLOCK.replace("width * kernel", "(width   *\n            kernel)"),
        BLOCK + "\n'a string that stands alone'\n",
    ],
)
def test_layout_comments_and_docstrings_do_not_count(same):
    assert said(same) == said(BLOCK)


@pytest.mark.parametrize(
    "other",
    [
        BLOCK.replace("* kernel", "+ kernel"),
        BLOCK.replace("kernel: int = 3", "kernel: int = 5"),
        BLOCK.replace("= 3", "= 3.0"),
        BLOCK.replace("width * kernel", "kernel * width"),
        BLOCK.replace("    return", "    width += 0\n    return"),
        BLOCK.replace("def conv", "def conw"),
        "import numpy as np\n" + BLOCK,
        BLOCK.replace("return width", 'return "width"'),
    ],
)
def test_whatever_is_run_counts(other):
    assert said(other) != said(BLOCK)


def test_what_a_package_is_called_does_not_count():
    assert said("from ablate.data.splits import split") == said("from data.splits import split")


def test_a_trial_is_made_by_its_own_network_and_its_own_reader():
    assert "ablate.models.pyconv" in modules_of(trial(PyConvUNet()))
    assert "ablate.models.unet" not in modules_of(trial(ResNet34UNet()))
    assert "ablate.models.resnet34_unet" not in modules_of(trial())
    assert "ablate.data.pairing" in modules_of(trial(data=Folder()))
    assert "ablate.data.mni152" not in modules_of(trial())
    assert not any("unet" in name for name in modules_of(trial(Part({"name": "mean_mask"}))))
    for always in (
        "training.loop",
        "training.checkpoint",
        "training.devices",
        "training.inference",
        "training.losses.cross_entropy",
        "training.optimizers.adam",
        "training.schedules.curves",
        "training.parallel",
        "training.augmentation",
        "metrics.counts",
        "data.dataset",
        "data.splits",
    ):
        assert all(f"ablate.{always}" in modules_of(one) for one in (trial(), trial(UNetPlusPlus(), Mni152())))


@pytest.mark.parametrize("kind", KINDS)
def test_where_a_part_is_known_without_importing_it(kind):
    for name, place in own_parts(KINDS[kind]).items():
        settings = load(place)
        assert origin._module(KINDS[kind], name) == (getattr(settings, "module", "") or place).partition(":")[0]


def test_every_module_that_training_imports_counts_or_is_known_to_decide_nothing():
    """A process that makes what three trials need, of whichever networks and data sets, has nothing else in it."""
    trials = (trial(), trial(ResNet34UNet(), Mni152()), trial(data=Phantom()))
    script = """
import importlib, sys
from pathlib import Path
import ablate.training.loop
from ablate.data.load import load_data
from ablate.models.build import build_model
from ablate.trial import TrialConfig

for text in sys.argv[1:]:
    config = TrialConfig.model_validate_json(text)
    build_model(config.model, 1, 1)
    if config.data.name != "phantom":
        load_data(config.data)
print(*(name for name in sys.modules if name.split(".")[0] == "ablate"))
"""
    texts = [one.to_file().decode().replace("0123456789ab", "") for one in trials]
    ran = subprocess.run([sys.executable, "-c", script, *texts], capture_output=True, text=True, check=True)
    imported = set(ran.stdout.split())
    assert "ablate.models.resnet34_unet" in imported
    assert imported - {name for one in trials for name in modules_of(one)} - APART == set()


def changed(monkeypatch: pytest.MonkeyPatch, name: str, before: str, after: str) -> None:
    """Have module `name` be another version of itself, for who asks what it says."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).read_text()
    assert before in source
    real = origin._parsed.__wrapped__

    def parsed(asked: str) -> ast.Module:
        return ast.parse(source.replace(before, after)) if asked == name else real(asked)

    monkeypatch.setattr(origin, "_parsed", parsed)
    origin._code_of.cache_clear()


@pytest.fixture(autouse=True)
def forget():
    yield
    origin._code_of.cache_clear()


def test_another_block_marks_the_networks_that_have_it_and_no_other(monkeypatch):
    trials = [trial(), trial(PyConvUNet()), trial(ResNet34UNet())]
    before = [origin_of(one).code for one in trials]
    changed(monkeypatch, "ablate.models.pyconv", "bias=False", "bias=True")
    after = [origin_of(one).code for one in trials]
    assert [one == other for one, other in zip(before, after, strict=True)] == [False, False, True]


def test_a_comment_marks_nothing(monkeypatch):
    before = origin_of(trial()).code
    changed(monkeypatch, "ablate.training.loop", "    parts, run =", "    # more\n    parts, run =")
    assert origin_of(trial()).code == before


OLD = Origin(ablate="0.1.0", code="a" * 12, torch="2.12.1+cpu", numpy="2", python="3.11.2")


def test_what_seeds_must_share():
    assert OLD.beside(OLD.model_copy(update={"numpy": "3", "python": "3.12.0", "torch": "2.12.1+cu130"})) == ""
    assert OLD.beside(OLD.model_copy(update={"torch": "2.13.0+cpu"})) == "torch 2.12.1+cpu"
    newer = OLD.model_copy(update={"torch": "2.13.0", "code": "b" * 12})
    assert newer.beside(OLD) == "torch 2.13.0 and code bbbbbbbbbbbb of ablate 0.1.0"
    assert Origin().beside(OLD) == "torch unknown and code that was not recorded"
    assert Origin().beside(Origin()) == ""


def test_a_cell_of_several_versions_is_mixed():
    newer = OLD.model_copy(update={"code": "b" * 12})
    made = [("one", OLD), ("one", OLD), ("two", OLD), ("two", newer), ("two", newer), ("three", newer)]
    assert mixed(made) == {"two": f"1 of {OLD}; 2 of {newer}"}
    assert mixed([("one", OLD), ("one", Origin())]).keys() == {"one"}


def test_a_recipe_s_parts_count_those_within_a_part_too_and_monai_where_it_is_in_it():
    plain, dice = trial(), TrialConfig(model=UNet(), data=Phantom(), loss="dice")
    summed = TrialConfig(model=UNet(), data=Phantom(), loss={"name": "sum", "losses": ["focal", "cross_entropy"]})
    assert "ablate.training.losses.overlap" in modules_of(dice)
    assert {"ablate.training.losses.sum", "ablate.training.losses.focal"} <= {*modules_of(summed)}
    assert "ablate.training.losses.overlap" not in modules_of(plain)
    assert origin_of(plain).monai == ""
    for one in (dice, summed):
        assert origin_of(one).monai == importlib.metadata.version("monai")
        assert "monai" in str(origin_of(one))
    older = origin_of(dice).model_copy(update={"monai": "1.5.0"})
    assert older.beside(origin_of(dice)) == "monai 1.5.0"
