"""A slip in a space is said with the file, the line and the nearest that exists, wherever in the space it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from ablate.data.load import load_data
from ablate.errors import InputError
from ablate.search_spaces.networks import networks_of
from ablate.search_spaces.plan import Plan, make_plan
from ablate.search_spaces.profiles import PROFILES
from ablate.search_spaces.space import load_space
from ablate.yaml_files import read_with_source

SPACE = """\
name: s
question: q
design: random
samples: 3
base:
  model: {name: unet, stages: 3}
  data: {name: phantom, count: 15, size: [32, 32]}
  protocol:
    epochs: 3
    split: {method: kfold}
  augmentation:
    - rotate
    - {name: noise, std: 0.1}
factors:
  model.width: [4, 8]
  recipe:
    plain: {loss: cross_entropy}
    other: {loss.name: dice, protocol.learning_rate: 0.01}
  protocol.ema: {low: 0.1, high: 0.9}
when:
  recipe: {model.width: 4}
constraints:
  - macs <= 1e12
promising: {model.width: 8}
"""


class Anything(BaseModel):
    model_config = ConfigDict(extra="allow")


def planned(folder: Path, text: str = SPACE, **options: object) -> Plan:
    (folder / "s.yaml").write_text(text)
    return make_plan(load_space(str(folder / "s.yaml")), PROFILES["quick"], dataset_of=load_data, **options)


@pytest.mark.parametrize(
    ("right", "wrong", "line", "said"),
    [
        ("design", "desing", 3, "unknown field 'desing': did you mean 'design'?"),
        ("stages", "stagse", 6, "model unet: there is no field 'stagse', did you mean 'stages'?"),
        ("name: unet", "name: unett", 6, "unknown model 'unett': did you mean 'unet'?"),
        ("  model:", "  modle:", 6, "field 'modle' belongs to no part of a trial (.*), did you mean 'model'?"),
        ("count", "cuont", 7, "data phantom: there is no field 'cuont', did you mean 'count'?"),
        ("count: 15", "count: few", 7, r"data phantom: count: .*valid integer.* \(given: 'few'\)"),
        ("epochs", "epocs", 9, "protocol: there is no field 'epocs', did you mean 'epochs'?"),
        ("epochs: 3", "epochs: many", 9, r"protocol: epochs: .*valid integer.* \(given: 'many'\)"),
        ("method", "methd", 10, "protocol: there is no field 'split.methd', did you mean 'method'?"),
        ("kfold", "kfolds", 10, "protocol: split.method: .*, did you mean 'kfold'?"),
        ("rotate", "rotat", 12, "unknown augmentation 'rotat': did you mean 'rotate'?"),
        ("std", "sdt", 13, "augmentation noise: there is no field 'sdt', did you mean 'std'?"),
        ("model.width: [", "modle.width: [", 15, "field 'modle.width' belongs to no part .*, did you mean 'model'?"),
        ("model.width: [4, 8]", "model.widht: [4, 8]", 24, "there is no factor 'model.width', .* 'model.widht'?"),
        ("{loss: cross", "{losss: cross", 17, "field 'losss' belongs to no part .*, did you mean 'loss'?"),
        ("high", "hihg", 19, "factor protocol.ema: there is no field 'hihg', did you mean 'high'?"),
        ("low: 0.1", "low: 0.95", 19, "range from 0.95 to 0.9: low must be below high"),
        ("recipe: {model", "recpie: {model", 21, "there is no factor 'recpie', did you mean 'recipe'?"),
        ("{model.width: 4}", "{model.wdith: 4}", 21, "there is no factor 'model.wdith', did you mean 'model.width'?"),
        ("{model.width: 4}", "{model.width: 5}", 21, "model.width has no level '5', only 4, 8"),
        ("macs", "mac", 23, "constraint 'mac <= 1e12': expected params, macs, latency_ms"),
        ("{model.width: 8}", "{model.with: 8}", 24, "there is no factor 'model.with', did you mean 'model.width'?"),
    ],
)  # fmt: skip
def test_a_slip_is_named_with_file_line_and_the_nearest(
    right: str, wrong: str, line: int, said: str, tmp_path: Path
) -> None:
    assert SPACE.count(right) >= 1
    with pytest.raises(InputError, match=rf"s\.yaml, line {line}: .*{said}"):
        planned(tmp_path, SPACE.replace(right, wrong, 1))


def test_of_several_levels_the_one_with_the_slip_is_rejected_with_its_line(tmp_path: Path) -> None:
    text = SPACE.replace("samples: 3", "samples: 20").replace("learning_rate", "learning_rat")
    found = planned(tmp_path, text)
    assert {row.levels["recipe"] for row in found.rejected} == {"other"}
    assert {row.reason for row in found.rejected} == {
        f"{tmp_path}/s.yaml, line 18: protocol: there is no field 'learning_rat', did you mean 'learning_rate'?"
    }
    assert found.trials


def test_what_an_option_set_is_said_of_the_option_and_not_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^--set model\.stagse: model unet: .* did you mean 'stages'\?"):
        planned(tmp_path, overrides={"model.stagse": 4})
    with pytest.raises(InputError, match=r"^--set protocol\.epochs: protocol: epochs: "):
        planned(tmp_path, overrides={"protocol.epochs": "many"})


def test_a_level_is_found_by_its_value_and_an_item_by_its_number(tmp_path: Path) -> None:
    """Values that are numbers of other places: level 1 is the last item, item 1 is level 0."""
    levels = "model.width:\n    - 2\n    - 0\n    - 1"
    (tmp_path / "s.yaml").write_text(SPACE.replace("model.width: [4, 8]", levels))
    source = read_with_source(tmp_path / "s.yaml", Anything, "test", "anything")[1]
    lines = {name: source.lines[source.reached("factors", "model.width", name)] for name in ("1", 1, "0", 0)}
    assert lines == {"1": 18, 1: 17, "0": 17, 0: 16}


def test_a_default_that_no_file_has_is_of_no_line(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(SPACE)
    space = load_space(str(tmp_path / "s.yaml"))
    assert space.source is not None
    assert space.source.field(("base",), "optimizer.lr") == ("base",)


def test_a_field_merged_from_an_anchor_has_the_line_where_it_is_written(tmp_path: Path) -> None:
    text = SPACE.replace("model: {name: unet, stages: 3}", "model: &net {name: unet, stagse: 3}").replace(
        "model.width: [4, 8]", "model.width: [4, 8]\n  net: {same: {model: {<<: *net, width: 4}}}"
    )
    with pytest.raises(InputError, match=r"s\.yaml, line 6: model unet: there is no field 'stagse'"):
        planned(tmp_path, text)


def test_a_network_that_cannot_be_priced_is_told_of_where_others_can(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        SPACE.replace("model.width: [4, 8]", "model.width: [4, eight]").replace("8}", "4}")
    )
    refused: dict[str, str] = {}
    space = load_space(str(tmp_path / "s.yaml"))
    found = networks_of(space, {}, lambda levels, why: refused.__setitem__(levels["model.width"], why))
    assert {levels["model.width"] for levels, _ in found} == {"4"}
    assert list(refused) == ["eight"]
    assert "s.yaml, line 15: model unet: width: " in refused["eight"]


def test_the_price_of_networks_is_refused_with_the_line_too(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(SPACE.replace("stages", "stagse"))
    with pytest.raises(InputError, match=r"s\.yaml, line 6: model unet: there is no field 'stagse'"):
        networks_of(load_space(str(tmp_path / "s.yaml")), {})
