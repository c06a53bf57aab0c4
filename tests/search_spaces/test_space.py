"""Space files: the packaged ones are sound, and a slip in one's own is a line with its place."""

import pytest
from pydantic import ValidationError

from ablate.errors import InputError
from ablate.search_spaces.designs import expand
from ablate.search_spaces.fields import on_model
from ablate.search_spaces.space import Space, load_space, nested, packaged

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
        ("factors:", "factor:", "line 6: unknown field 'factor': did you mean 'factors'?"),
        ("base:\n  model:", "base:\n  modle:", "line 5: base: field 'modle' belongs to no part .*did you mean 'model'"),
        ("protocol.batch_size: [2, 4]", "batch: [2, 4]", "line 10: factors: field 'batch' belongs to no part"),
        ("model.stages: 2", "stages: 2", "line 8: factors: field 'stages' belongs to no part"),
        (
            "protocol.batch_size: [2, 4]",
            "protocol.batch_size: 2",
            "line 10: factors: factor protocol.batch_size: expected",
        ),
        ("protocol.batch_size: [2, 4]", "protocol.batch_size: {low: 2, high: 4}", "needs levels, use design: random"),
        (
            "protocol.batch_size: [2, 4]",
            "protocol.batch_size: {low: 4, high: 2}",
            "line 10: factors: factor .*low must be below high",
        ),
        ("design: grid", "design: random", "design random needs samples"),
        ("design: grid", "design: one_factor", "design one_factor needs reference"),
        ("design: grid", "design: grid\nreference: {depth: middle}", "there is no level 'middle', only shallow, deep"),
        ("design: grid", "design: leave_one_out", "takes one level, 'without'"),
        ("{name: unet, width: 8}", "[unet]", r"line 4: base: field 'model': expected its fields, .*not \['unet'\]"),
        ("{name: unet, width: 8}", "5", "line 4: base: field 'model': expected its fields, .*not 5"),
        ("name: unet,", "name: [1],", r"line 4: base: field 'model.name': expected a name, not \[1\]"),
        ("base:", "base:\n  model.width: 4", "line 4: base: field 'model.width' is given twice"),
        ("base:", "base:\n  model..width: 4", "line 4: base: field 'model..width' is no path"),
        ("base:", "base:\n  model.: 4", "line 4: base: field 'model.' is no path"),
        ("base:", "base:\n  .: 4", "line 5: base: field '.' belongs to no part"),
        ("base:", "base:\n  model.width.of: 4", "line 4: base: field 'model.width.?o?f?' "),
        ("base:\n  model: {name: unet, width: 8}", "base: [model]", "line 4: base: Input should be a valid dictionary"),
        ("shallow: {model.stages: 2}", "shallow: {model: 7}", "line 8: factors: field 'model': expected its fields"),
        ("shallow: {model.stages: 2}", "shallow: {model.stages: {'': 2}}", "an empty text is no name of a field"),
        ("shallow:", '"":', "factor depth: level '': a name has 1 to 200 characters"),
        ("shallow:", '"a\\tb":', r"factor depth: level 'a\\tb': a name has 1 to 200 characters that can be seen"),
        ("shallow:", '"\\u202Ea":', r"factor depth: level '\\u202ea': a name has"),
        ("shallow:", f"{'s' * 201}:", "factor depth: level 's*…': a name has 1 to 200"),
        ("deep:", "shallow:", "the key 'shallow' is given twice, first in line "),
        ("[2, 4]", "[4, '4']", "factor protocol.batch_size: two levels are called '4'"),
        ("[2, 4]", "[{a: 1}]", "factor protocol.batch_size: a list holds values"),
        ("protocol.batch_size: [2, 4]", "model: [7]", "line 10: factors: field 'model': expected its fields"),
        ("name: mine", f"name: {'m' * 101}", "line 1: name: String should have at most 100"),
        ("design: grid", "design: grid\nseeds: 1000000000", "line 4: seeds: .*less than or equal to 1000"),
        ("design: grid", "design: grid\nseeds: true", "line 4: seeds: expected a number, not true"),
        ("design: grid", "design: random\nsamples: 100001", "line 4: samples: .*less than or equal to 100000"),
        ("design: grid", "design: grid\nconstraints: 5", "line 4: constraints: Input should be a valid tuple"),
        ("design: grid", "design: grid\nconstraints: [params <= 1e999]", "line 4: constraints.0.*: .*finite number"),
        ("design: grid", "design: grid\nwhen: [depth]", "line 4: when: expected factor"),
        ("design: grid", "design: grid\nwhen: {protocol.batch_size: {depth: []}}", "at least one level of depth"),
        ("design: grid", "design: grid\nreference: 5", "line 4: reference: Input should be a valid dictionary"),
        *(
            (
                "protocol.batch_size: [2, 4]",
                f"protocol.batch_size: {{{bounds}}}",
                f"line 10: factors: factor .*{message}",
            )
            for bounds, message in (
                ("low: true, high: false", "low: expected a number, not true"),
                ("low: a, high: 4", "low: Input should be a valid"),
                ("low: 1e999, high: 4", "low: Input should be "),
                ("low: 1, high: 1.0e+300", "high: Input should be less than or equal to"),
                ("low: 1, high: 4, step: 0", "a step of 0 is none in it"),
                ("low: 1, high: 4, step: -1", "a step of -1 is none in it"),
                ("low: 1, high: 4, step: 8", "a step of 8 is none in it"),
                ("low: 1, high: 4, step: 1.0e-300", "a step of 1e-300 is none in it"),
            )
        ),
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
    assert len(str(error.value)) < 300 + len(path)


def test_levels_may_be_called_low_and_high(tmp_path):
    text = GOOD.replace("shallow:", "low:").replace("deep:", "high:")
    assert [v.levels["depth"] for v in expand(load_space(written(tmp_path, text)))] == ["low", "low", "high", "high"]


def test_a_level_sets_a_part_whole_before_its_fields_however_they_are_written(tmp_path):
    text = GOOD.replace("{model.stages: 2}", "{model.stages: 2, model: {name: unet, width: 4}}")
    fields = expand(load_space(written(tmp_path, text)))[0].fields
    assert list(fields)[:2] == ["model", "model.stages"]


def test_what_only_python_can_hold_is_refused_too():
    endless: dict = {"name": "unet"}
    endless["width"] = endless
    for model in ({4: 5}, {None: 1}, endless, {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": 1}}}}}}}}):
        with pytest.raises(ValidationError):
            Space(name="s", question="?", design="grid", base={"model": model}, factors={"model.width": [4]})


def test_a_name_that_does_not_exist_names_the_nearest():
    with pytest.raises(InputError, match="unknown space 'pyramid_level': did you mean 'pyramid_levels'"):
        load_space("pyramid_level")
    with pytest.raises(InputError, match=r"'nowhere\.yaml' does not exist"):
        load_space("nowhere.yaml")


def test_a_part_may_be_its_name_or_have_settings_wherever_it_stands():
    found = Space(
        name="parts",
        question="?",
        design="grid",
        base={"model": "unet", "augmentation": ["rotate", {"name": "noise", "std": 0.2}]},
        factors={"loss": ["dice", {"name": "my_losses:edges", "width": 3}], "augmentation.rotate.degrees": [5, 15]},
    )
    assert nested(found.base) == {
        "model": {"name": "unet"},
        "augmentation": {"rotate": {"name": "rotate"}, "noise": {"name": "noise", "std": 0.2}},
    }
    assert found.options("loss") == ["dice", "edges"]
    assert found.levels("loss")["edges"] == {"loss": {"name": "my_losses:edges", "width": 3}}
    with pytest.raises(ValueError, match="rotate is there twice; give each a name"):
        nested({"augmentation": ["rotate", {"name": "rotate"}]})


def test_a_space_is_asked_on_another_network_unless_that_is_what_it_varies():
    asked = on_model(load_space("normalisation"), "attention_unet")
    assert asked.base["model"] == {"name": "attention_unet"}
    with pytest.raises(InputError, match="factor network of space baselines is the network itself"):
        on_model(load_space("baselines"), "unet")
