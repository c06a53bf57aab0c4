"""A part that breaks its contract in one way is caught by the check that is about it, whose line says what to do."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from breakages import DATA, NETWORKS, Breakage, data, network
from breakages_of_recipe import AUGMENTATIONS, LOSSES, METRICS, OPTIMIZERS, SCHEDULES
from breakages_of_search import SAMPLERS, SCHEDULERS, SECTIONS

from ablate.contracts.contract import Checked, quick_problems, run_contract
from ablate.kinds import KINDS, parse
from ablate.modules import code_from

_OF_RECIPES = (LOSSES, OPTIMIZERS, SCHEDULES, AUGMENTATIONS, METRICS)
_OF_KINDS = (NETWORKS, DATA, *_OF_RECIPES, SAMPLERS, SCHEDULERS, SECTIONS)
BREAKAGES = {name: one for kind in _OF_KINDS for name, one in kind.items()}


def checked(breakage: Breakage, folder: Path) -> list[Checked]:
    (folder / "mine.py").write_text(breakage.source)
    with code_from(folder):
        kind = KINDS[breakage.kind]
        return run_contract(kind, parse(kind, {"name": "mine:Net"}))


@pytest.mark.parametrize("breakage", BREAKAGES.values(), ids=BREAKAGES)
def test_what_breaks_a_contract_is_named_by_the_check_it_breaks(breakage: Breakage, tmp_path: Path) -> None:
    failing = [one for one in checked(breakage, tmp_path) if one.problem]
    assert failing, "nothing was found"
    assert (failing[0].name, [one.name for one in failing[1:]]) == (breakage.check, [])
    assert breakage.says in failing[0].problem
    assert "\n" not in failing[0].problem


def test_every_breakage_has_a_line_of_its_own() -> None:
    assert (
        len({(one.kind, one.check, one.says) for one in BREAKAGES.values()})
        == len(BREAKAGES)
        == sum(map(len, _OF_KINDS))
        >= 12
    )


def test_what_is_right_is_not_faulted(tmp_path: Path) -> None:
    right = Breakage("network", network("", "return self.head(x)"), "", "")
    found = checked(right, tmp_path)
    assert len(found) > 10
    assert [(one.name, one.problem, one.doubt) for one in found if one.problem or one.doubt] == []


def test_many_channels_and_pixels_that_are_not_known_are_not_faulted(tmp_path: Path) -> None:
    samples = "mask[0] = 255; found = [s._replace(image=np.dstack([s.image] * 4)) for s in found]"
    source = data(samples).replace("= (16, 16)\n", "= (16, 16); channels: int = 4\n", 1)
    found = checked(Breakage("data set", source, "", ""), tmp_path)
    assert len(found) > 5
    assert [(one.name, one.problem) for one in found if one.problem] == []


def test_weights_that_no_seed_changes_are_a_doubt_and_no_failure(tmp_path: Path) -> None:
    same = Breakage("network", network("nn.init.constant_(self.head.weight, 0.1); nn.init.zeros_(self.head.bias)",
                                       "return self.head(x)"), "", "")  # fmt: skip
    found = {one.name: one for one in checked(same, tmp_path)}
    one = found["the same seed gives the same weights"]
    assert not one.problem
    assert "every seed gives the same weights" in one.doubt


def test_a_plan_asks_what_is_quick_and_trains_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ablate.contracts.training.train", lambda *_, **__: pytest.fail("it trains"))
    for name in ("a layer that forward forgot", "weights from NumPy", "a running mean that is not saved"):
        (tmp_path / "mine.py").write_text(NETWORKS[name].source)
        with code_from(tmp_path):
            part = parse(KINDS["network"], {"name": "mine:Net"})
            (problem,) = quick_problems(KINDS["network"], part, 3, 2, (512, 512))
            assert problem.startswith(f"mine:Net: {NETWORKS[name].check}: ")
            assert quick_problems(KINDS["data set"], part, 3, 2, (512, 512)) == []


def test_the_process_is_as_it_was(tmp_path: Path) -> None:
    def states() -> tuple[object, ...]:
        strict = torch.are_deterministic_algorithms_enabled()
        return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate(), strict

    before = states()
    checked(NETWORKS["weights from NumPy"], tmp_path)
    assert states() == before
