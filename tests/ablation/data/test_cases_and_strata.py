"""A case is in one part whatever the method; fixed parts are obeyed, and stratified ones are alike."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablate.data.dataset import assemble
from ablate.data.settings import Folder, Split
from ablate.data.source import IGNORED, Sample
from ablate.data.splits import Known, Parts, split
from ablate.errors import InputError

PATIENTS = [f"p{patient}" for patient in range(6) for _ in range(5)]

cases = st.lists(st.integers(1, 6), min_size=8, max_size=20).flatmap(
    lambda sizes: st.permutations([f"c{case}" for case, size in enumerate(sizes) for _ in range(size)])
)
strata = st.lists(st.sampled_from("ab"), min_size=20, max_size=20)
splits = st.builds(
    dict,
    method=st.sampled_from(["fractions", "kfold", "fixed"]),
    shuffle=st.booleans(),
    seed=st.integers(0, 5),
    val=st.sampled_from([0.1, 0.2, 0.35]),
    test=st.sampled_from([0.1, 0.2, 0.35]),
    folds=st.integers(3, 6),
    fold=st.integers(0, 2),
    stratify=st.sampled_from(["", "foreground", "stratum"]),
).map(lambda fields: Split(**fields))


def known_of(groups: list[str], labels: list[str], amounts: list[float], *, with_val: bool) -> Known:
    """Parts that are whole cases, a stratum a case, and any foreground an image."""
    order = {case: at for at, case in enumerate(dict.fromkeys(groups))}
    parts = ["train", "test", "val" if with_val else "train", "train"]
    return Known(
        fixed=[parts[order[case] % 4] for case in groups],
        strata=[labels[order[case]] for case in groups],
        foreground=[(amounts[i % len(amounts)], 1.0) for i in range(len(groups))],
    )


@given(
    groups=cases | st.just(PATIENTS),
    config=splits,
    labels=strata,
    amounts=st.lists(st.floats(0, 1), min_size=1, max_size=30),
    with_val=st.booleans(),
)
@settings(deadline=None, max_examples=200)
def test_no_case_is_in_two_parts_and_every_image_is_in_one(groups, config, labels, amounts, with_val):
    parts = split(groups, config, known_of(groups, labels, amounts, with_val=with_val))
    assert all(parts)
    assert sorted(i for part in parts for i in part) == list(range(len(groups)))
    owners = [{groups[i] for i in part} for part in parts]
    assert sum(map(len, owners)) == len(set(groups))
    assert all(list(part) == sorted(part) for part in parts)
    again = split(groups, config, known_of(groups, labels, amounts, with_val=with_val))
    assert again == parts


@given(groups=cases, seed=st.integers(0, 3), stratify=st.sampled_from(["foreground", "stratum"]), labels=strata)
@settings(deadline=None)
def test_stratified_folds_test_each_case_once(groups, seed, stratify, labels):
    known = known_of(groups, labels, [i / 10 for i in range(10)], with_val=True)
    folds = [split(groups, Split(method="kfold", fold=f, seed=seed, stratify=stratify), known) for f in range(5)]
    assert sorted(i for parts in folds for i in parts.test) == list(range(len(groups)))
    for parts, following in zip(folds, [*folds[1:], folds[0]], strict=True):
        assert parts.val == following.test


@given(labels=st.lists(st.sampled_from("aab"), min_size=15, max_size=60), seed=st.integers(0, 9), data=st.data())
@settings(deadline=None)
def test_each_part_has_its_share_of_each_stratum(labels, seed, data):
    groups = [f"c{i}" for i in range(len(labels))]
    known, whole = Known(strata=labels), Counter(labels)
    method = data.draw(st.sampled_from(["fractions", "kfold"]))
    parts = split(groups, Split(method=method, seed=seed, stratify="stratum", fold=data.draw(st.integers(0, 4))), known)
    for part in parts:
        here = Counter(labels[i] for i in part)
        for stratum, count in whole.items():
            assert abs(here[stratum] - count * len(part) / len(labels)) < 2


@given(seed=st.integers(0, 20), folds=st.integers(3, 6))
def test_folds_by_foreground_have_little_and_much_alike(seed, folds):
    """Of 30 cases each fold has as many of every bin of `folds` or more neighbours in foreground, but for one."""
    groups = [f"c{i:02}" for i in range(30)]
    known = Known(foreground=[(float(i), 30.0) for i in range(30)])
    bins = 30 // folds
    for fold in range(folds):
        config = Split(method="kfold", folds=folds, fold=fold, seed=seed, stratify="foreground")
        here = Counter(i * min(bins, 10) // 30 for i in split(groups, config, known).test)
        expected = 30 / folds / min(bins, 10)
        assert all(abs(here[at] - expected) <= 1 for at in range(min(bins, 10)))


def test_other_seeds_stratify_otherwise_and_without_shuffling_the_seed_is_nothing():
    groups, known = [f"c{i}" for i in range(24)], Known(strata=["a", "b"] * 12)
    tests = {split(groups, Split(stratify="stratum", seed=seed), known).test for seed in range(6)}
    assert len(tests) > 3
    plain = {split(groups, Split(stratify="stratum", shuffle=False, seed=seed), known).test for seed in range(6)}
    assert len(plain) == 1


@pytest.mark.parametrize("method", ["fractions", "kfold"])
def test_without_stratification_what_is_known_of_images_changes_nothing(method):
    known = Known(["train"] * 30, ["a"] * 30, [(1.0, 2.0)] * 30)
    assert split(PATIENTS, Split(method=method), known) == split(PATIENTS, Split(method=method))


def test_a_fixed_split_is_obeyed_image_by_image():
    fixed = ["train"] * 10 + ["test"] * 5 + ["val"] * 5 + ["train"] * 10
    parts = split(PATIENTS, Split(method="fixed"), Known(fixed=fixed))
    assert parts == Parts((*range(10), *range(20, 30)), tuple(range(15, 20)), tuple(range(10, 15)))


def test_where_no_validation_is_fixed_it_is_whole_training_cases():
    fixed = ["train"] * 25 + ["test"] * 5
    found = {split(PATIENTS, Split(method="fixed", seed=seed), Known(fixed=fixed)) for seed in range(8)}
    assert {parts.test for parts in found} == {tuple(range(25, 30))}
    assert all(len(parts.val) == 5 and len({PATIENTS[i] for i in parts.val}) == 1 for parts in found)
    assert len({parts.val for parts in found}) > 1
    (last,) = {split(PATIENTS, Split(method="fixed", shuffle=False), Known(fixed=fixed))}
    assert last.val == tuple(range(20, 25))


def test_a_fixed_split_may_cut_a_single_stack_in_parts_of_slices():
    fixed = ["train"] * 20 + ["val"] * 5 + ["test"] * 5
    parts = split(["stack"] * 30, Split(method="fixed", shuffle=False), Known(fixed=fixed))
    assert parts == Parts(tuple(range(20)), tuple(range(20, 25)), tuple(range(25, 30)))


@pytest.mark.parametrize(
    ("config", "known", "what"),
    [
        ({"method": "fixed"}, Known(), "the data set fixes no split; give data.parts"),
        ({"method": "fixed"}, Known(["train"] * 28 + [""] * 2), r"2 of 30 images have no part, the first of case 'p5'"),
        ({"method": "fixed"}, Known(["train"] * 29 + ["exam"]), r"1 of 30 images have no part"),
        ({"method": "fixed"}, Known(["train"] * 28 + ["test"] * 2), "case 'p5' is in train and in test"),
        ({"method": "fixed"}, Known(["train"] * 30), "give train 25, val 5, test 0"),
        ({"method": "fixed"}, Known(["test"] * 30), "give train 0, val 0, test 30"),
        ({"method": "fixed"}, Known(["train"] * 5 + ["test"] * 25), "give train 0, val 5, test 25"),
        ({"stratify": "stratum"}, Known(), "the data set has no strata"),
        ({"stratify": "stratum"}, Known(strata=["a"] * 29 + ["b"]), "case 'p5' has 'a' and 'b'; a case needs one"),
        ({"stratify": "stratum"}, Known(strata=["a"] * 25 + [""] * 5), "case 'p5' has none"),
        ({"method": "kfold", "folds": 7}, Known(), "6 volumes"),
        ({"method": "kfold", "folds": 7, "stratify": "stratum"}, Known(strata=["a"] * 30), "6 volumes"),
    ],
)
def test_what_cannot_be_split_so_is_one_line(config, known, what):
    with pytest.raises(InputError, match=what) as caught:
        split(PATIENTS, Split(**config), known)
    assert "\n" not in str(caught.value)


def test_a_single_stack_cannot_be_stratified():
    with pytest.raises(InputError, match="slices of one volume, 'stack', whose parts are contiguous blocks"):
        split(["stack"] * 30, Split(shuffle=False, stratify="foreground"), Known(foreground=[(1, 2)] * 30))


def sample(name: str, case: str, foreground: int, **more: str) -> Sample:
    mask = np.zeros((8, 8), np.uint8)
    mask[0, :foreground] = 1
    mask[7] = IGNORED
    return Sample(name, case, np.full((8, 8), 7, np.uint8), mask, **more)


def test_a_data_set_hands_over_what_it_knows():
    """Its parts, its strata, and its foreground among the pixels that were decided."""
    samples = [
        sample(f"{case}-{i}", f"c{case}", case % 8, part="test" if case > 15 else "train", stratum="ab"[case % 2])
        for case in range(20)
        for i in range(2)
    ]
    dataset = assemble(samples, Folder(size=(8, 8)))
    assert dataset.split(Split(method="fixed")).test == tuple(range(32, 40))
    for stratify, known in (
        ("stratum", Known(strata=dataset.strata)),
        ("foreground", Known(foreground=[(float(i // 2 % 8), 56.0) for i in range(40)])),
    ):
        config = Split(method="kfold", stratify=stratify, seed=3)
        assert dataset.split(config) == split(dataset.groups, config, known)


def test_the_slices_of_a_single_stack_are_cases_of_their_own():
    stack = assemble([sample(str(i), "stack", 2) for i in range(4)], Folder(size=(8, 8)))
    assert stack.cases == ("0", "1", "2", "3")
    patients = assemble([sample(str(i), f"p{i // 2}", 2) for i in range(4)], Folder(size=(8, 8)))
    assert patients.cases == ("p0", "p0", "p1", "p1")
