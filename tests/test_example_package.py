"""`tests/example_package` adds a part of every kind by its entry points alone: nothing of this project names it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from inside import inside

from ablate import kinds, modules
from ablate.data.load import load_data
from ablate.errors import InputError
from ablate.kinds import KINDS, Kind
from ablate.search_spaces.space import load_space
from ablate.training.loop import train
from ablate.trial import Protocol, TrialConfig

HERE = Path(__file__).parent
PACKAGE = HERE / "example_package"
PROJECT = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
NAMES = {group: next(iter(names)) for group, names in PROJECT["entry-points"].items()}
MADE_BY = f"{PROJECT['name']} {PROJECT['version']}"


def named(kind: str) -> str:
    """What the package calls its part of this kind."""
    return NAMES[KINDS[kind].group]


@pytest.fixture(scope="module", autouse=True)
def _installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    source = shutil.copytree(PACKAGE, tmp_path_factory.mktemp("source") / "package")  # building leaves files in it
    place = tmp_path_factory.mktemp("environment") / "site-packages"
    options = ("-q", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check")
    subprocess.run([sys.executable, "-m", "pip", "install", *options, "--target", place, source], check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(place)
        forget()
        yield
    for module in [name for name in sys.modules if name.startswith("ablate_example_parts")]:
        del sys.modules[module]
    forget()


def forget() -> None:
    """What was found of the packages that were there before."""
    for remembered in (kinds.packaged, kinds._make, modules._site, modules._distribution):
        remembered.cache_clear()


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_it_has_a_part_of_every_kind_under_a_short_name(kind: Kind) -> None:
    part = kinds.parse(kind, {"name": NAMES[kind.group]})
    assert part.name == NAMES[kind.group]
    assert part.made_by == MADE_BY
    assert getattr(kinds.make(kind, part), "read" if kind.name == "data set" else "build")


def test_its_parts_train_together() -> None:
    places = ("loss", "optimizer", "schedule")
    trial = TrialConfig(
        model={"name": named("network"), "width": 6},
        data={"name": named("data set"), "size": [16, 16]},
        protocol=Protocol(epochs=2, batch_size=2, learning_rate=0.1, select=named("metric")),
        augmentation=(named("augmentation"),),
        metrics=(named("metric"),),
        **{place: named(place) for place in places},
    )
    assert {part.made_by for part in trial.parts.values()} == {MADE_BY}
    again = TrialConfig.model_validate_json(trial.to_file())
    assert again.key == trial.key
    dataset = load_data(trial.data)
    result = train(trial, dataset, device=torch.device("cpu"))
    assert result.epochs[1].val_loss < result.epochs[0].val_loss
    values = result.more[named("metric")]
    assert values.shape == (2, 2)
    assert ((values > 0) & (values <= 1)).all()


def test_its_parts_are_named_as_any_in_commands(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("--space", "losses", "--model", named("network"), "--data", named("data set"))
    planned = inside(capsys, "plan", *asked, "--set", f"schedule={named('schedule')}", "--json")
    assert planned.code == 0, planned.line
    assert len(json.loads(planned.out)["trials"]) == len(load_space("losses").levels("loss"))
    for kind in KINDS.values():
        assert NAMES[kind.group] in inside(capsys, "parts", kind.name).out
    slip = inside(capsys, "plan", *asked, "--set", "optimizer=exampl_optimizer")
    assert "did you mean 'example_optimizer'" in slip.line


def test_its_sampler_and_scheduler_search(capsys: pytest.CaptureFixture[str]) -> None:
    curves = HERE.parent / "benchmarks" / "curves"
    asked = ("--sampler", named("sampler"), "--scheduler", named("scheduler"), "--trials", "6", "--repeats", "1")
    done = inside(capsys, "replay", str(curves), *asked, "--json")
    assert done.code == 0, done.line
    (found,) = json.loads(done.out)["strategies"]
    assert found["epochs"]["median"] == 6  # its scheduler stops each after the first


def test_its_section_is_in_every_report(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with zipfile.ZipFile(HERE / "assets" / "schema-3.zip") as archive:
        archive.extractall(tmp_path / "study")
    page = tmp_path / "page.html"
    done = inside(capsys, "report", str(tmp_path / "study"), "-o", str(page))
    assert done.code == 0, done.line
    assert "<h2>How many</h2>" in page.read_text()


def test_what_an_uninstalled_package_named_is_not_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    part = kinds.parse(KINDS["loss"], {"name": named("loss")})
    with monkeypatch.context() as patch:
        patch.setattr(
            sys, "path", [folder for folder in sys.path if not (Path(folder) / "ablate_example_parts").exists()]
        )
        forget()
        with pytest.raises(InputError, match="unknown loss 'example_loss'"):
            kinds.make(KINDS["loss"], part)
    forget()
