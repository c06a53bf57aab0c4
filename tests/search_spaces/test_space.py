"""Space files: the packaged ones are sound, and a slip in one's own is a line with its place."""

import pytest

from ablation.errors import InputError
from search_spaces.designs import expand
from search_spaces.space import load_space, packaged

GOOD = """\
name: mine
question: Does it help?
design: grid
base:
  model: {name: unet, width: 8}
factors:
  depth:
    shallow: {model.stages: 2}
    deep: {model.stages: 3}
  protocol.batch_size: [2, 4]
"""


def written(tmp_path, text: str) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", list(packaged()))
def test_packaged_spaces_expand(name):
    space = load_space(name)
    assert space.name == name
    assert space.question.endswith("?")
    variants = expand(space)
    assert len({tuple(v.levels.items()) for v in variants}) == len(variants) > 1


def test_every_space_of_the_issue_is_there():
    expected = {"pyramid_levels", "kernel_sizes", "group_splits", "baselines", "matched_budget", "boundary_blur"}
    assert expected <= set(packaged())


def test_a_space_of_ones_own(tmp_path):
    variants = expand(load_space(written(tmp_path, GOOD)))
    assert [v.levels for v in variants] == [
        {"depth": "shallow", "protocol.batch_size": "2"},
        {"depth": "shallow", "protocol.batch_size": "4"},
        {"depth": "deep", "protocol.batch_size": "2"},
        {"depth": "deep", "protocol.batch_size": "4"},
    ]
    assert variants[1].fields == {"model.stages": 2, "protocol.batch_size": 4}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("question: Does it help?\n", "", "line 1: question: Field required"),
        ("design: grid", "design: gird", "line 3: design: Input should be 'grid'"),
        ("{name: unet, width: 8}", "{name: unet, width: 8", "line 6: "),
        ("factors:", "factor:", "line 6: factor: Extra inputs are not permitted|line 1: factors: Field required"),
        ("base:\n  model:", "base:\n  modle:", "line 4: base: field 'modle' belongs to no part .*did you mean 'model'"),
        ("protocol.batch_size: [2, 4]", "batch: [2, 4]", "line 6: factors: field 'batch' belongs to no part"),
        ("model.stages: 2", "stages: 2", "line 6: factors: field 'stages' belongs to no part"),
        (
            "protocol.batch_size: [2, 4]",
            "protocol.batch_size: 2",
            "line 6: factors: factor protocol.batch_size: expected",
        ),
        ("protocol.batch_size: [2, 4]", "protocol.batch_size: {low: 2, high: 4}", "needs levels, use design: random"),
        (
            "protocol.batch_size: [2, 4]",
            "protocol.batch_size: {low: 4, high: 2}",
            "line 6: factors: factor .*low must be below high",
        ),
        ("design: grid", "design: random", "design random needs samples"),
        ("design: grid", "design: one_factor", "design one_factor needs reference"),
        ("design: grid", "design: grid\nreference: {depth: middle}", "there is no level 'middle', only shallow, deep"),
        ("design: grid", "design: leave_one_out", "takes one level, 'without'"),
        (GOOD, "- just\n- a list\n", "line 1: expected a mapping"),
        (GOOD, "", "line 1: expected a mapping"),
    ],
)
def test_a_slip_is_one_line_with_its_place(tmp_path, old, new, message):
    assert old in GOOD
    path = written(tmp_path, GOOD.replace(old, new))
    with pytest.raises(InputError, match=message) as error:
        load_space(path)
    assert str(error.value).startswith(path)
    assert "\n" not in str(error.value)


def test_a_name_that_does_not_exist_names_the_nearest():
    with pytest.raises(InputError, match="unknown space 'pyramid_level': did you mean 'pyramid_levels'"):
        load_space("pyramid_level")
    with pytest.raises(InputError, match=r"'nowhere\.yaml' does not exist"):
        load_space("nowhere.yaml")
