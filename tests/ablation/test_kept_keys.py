"""Keys are for good: whatever this project learns, what was trained once keeps its name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, get_args

import pytest
from pydantic import Field

from ablate.data.settings import Phantom, Split
from ablate.kinds import KINDS, own_parts
from ablate.models.settings import UNet
from ablate.settings import Config, Number, Since
from ablate.trial import TRIVIAL, TrialConfig

KEPT = json.loads((Path(__file__).parents[1] / "assets" / "keys.json").read_text())
"""What version 0.1 called some trials. Add to it; a line that is there never changes. But for one cell: that of
`ce7c4e757d0d`, which is fold 1. Version 0.1 gave each fold a cell of its own; now it is in the cell of fold 0."""
CELL_OF_FOLD_1 = "b17097cd1ff6"


def configuration(kept: dict[str, Any]) -> TrialConfig:
    parts = {name: value for name, value in kept.items() if name not in ("key", "cell", "data")}
    return TrialConfig.model_validate(parts | {"data": {"fingerprint": "0123456789ab", **kept["data"]}})


@pytest.mark.parametrize("kept", KEPT, ids=lambda kept: kept["key"])
def test_a_key_is_what_it_was(kept):
    config = configuration(kept)
    assert (config.key, config.cell) == (kept["key"], kept["cell"])
    assert TrialConfig.model_validate_json(config.to_file()) == config


def test_the_folds_of_a_configuration_are_one_cell_and_the_cell_of_version_0_1_is_still_known():
    (kept,) = (line for line in KEPT if line["key"] == "ce7c4e757d0d")
    config = configuration(kept)
    folds = [config.of_fold(fold) for fold in range(4)]
    assert len({trial.key for trial in folds}) == 4
    assert {trial.cell for trial in folds} == {folds[0].cell_by_fold}
    assert config.cell_by_fold == CELL_OF_FOLD_1
    others = [config.of_fold(1).model_copy(update={"seed": 5}), configuration(kept | {"seed": 9})]
    assert {trial.cell for trial in others} == {config.cell}


def test_keys_of_every_network_source_and_split_are_kept():
    assert {kept["model"]["name"] for kept in KEPT} == {*own_parts(KINDS["network"]), *TRIVIAL}
    assert {kept["data"]["name"] for kept in KEPT} == {*own_parts(KINDS["data set"])}
    methods = get_args(Split.model_fields["method"].annotation)
    assert {kept["protocol"].get("split", {}).get("method", "fractions") for kept in KEPT} == {*methods}


class _Inner(Config):
    rate: Number = 0.0


class _LaterUNet(UNet):
    dropout: Annotated[Number, Since("9.0")] = Field(0.0, ge=0, lt=1)
    inner: Annotated[_Inner, Since("9.1")] = _Inner()


class _LaterTrial(TrialConfig):
    model: _LaterUNet
    note: Annotated[str | None, Since("9.2")] = None


def later(**changes: Any) -> TrialConfig:
    note = changes.pop("note", None)
    return _LaterTrial(model=_LaterUNet(**changes), data=Phantom(fingerprint="abc"), note=note)


def test_a_later_field_counts_only_where_it_changes_something():
    before = TrialConfig(model=UNet(), data=Phantom(fingerprint="abc"))
    assert (later().key, later().cell, later().to_file()) == (before.key, before.cell, before.to_file())
    changed = [later(dropout=0.1), later(inner={"rate": 0.5}), later(note="x")]
    assert len({trial.key for trial in [before, *changed]}) == 4
    assert len({trial.cell for trial in [before, *changed]}) == 4
    for trial in [later(), *changed]:
        assert _LaterTrial.model_validate_json(trial.to_file()) == trial
    assert _LaterTrial.model_validate_json(before.to_file()) == later()
    assert later().model_dump()["model"]["dropout"] == 0.0  # it is shown, if not hashed
