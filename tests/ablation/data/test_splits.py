"""Parts are disjoint and complete, volumes stay whole, and the paper's split is scikit-learn's."""

from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from ablate.data.settings import Split
from ablate.data.splits import Parts, split
from ablate.errors import InputError


def independent(count: int) -> list[str]:
    return [f"{i}" for i in range(count)]


configs = st.builds(
    Split,
    method=st.sampled_from(["fractions", "kfold"]),
    shuffle=st.booleans(),
    seed=st.integers(0, 5),
    val=st.sampled_from([0.1, 0.2, 0.25, 0.4]),
    test=st.sampled_from([0.1, 0.2, 0.35]),
    folds=st.integers(3, 6),
    fold=st.integers(0, 2),
)
volumes = st.lists(st.integers(1, 5), min_size=6, max_size=20).map(
    lambda sizes: [f"v{volume}" for volume, size in enumerate(sizes) for _ in range(size)]
)


@given(groups=volumes | st.integers(6, 60).map(independent), config=configs)
@settings(deadline=None)
def test_parts_are_disjoint_complete_and_never_divide_a_volume(groups: list[str], config: Split) -> None:
    parts = split(groups, config)
    assert all(parts)
    assert sorted(i for part in parts for i in part) == list(range(len(groups)))
    assert all(list(part) == sorted(part) for part in parts)
    owners = [{groups[i] for i in part} for part in parts]
    assert sum(map(len, owners)) == len(set(groups))


@given(groups=volumes | st.integers(6, 60).map(independent), config=configs)
@settings(deadline=None)
def test_without_shuffling_parts_are_blocks_in_order(groups: list[str], config: Split) -> None:
    parts = split(groups, config.model_copy(update={"shuffle": False}))
    if config.method == "fractions":
        assert [i for part in parts for i in part] == list(range(len(groups)))
    else:
        assert all(b - a == 1 for part in (parts.val, parts.test) for a, b in pairwise(part))


@given(count=st.integers(6, 200), config=configs)
@settings(deadline=None)
def test_fractions_are_rounded_half_up(count: int, config: Split) -> None:
    assume(config.method == "fractions")
    parts = split(independent(count), config)
    for part, fraction in ((parts.val, config.val), (parts.test, config.test)):
        hundredths = round(fraction * 100) * count
        assert len(part) == max(1, (hundredths + 50) // 100)


@given(groups=volumes, seed=st.integers(0, 3), shuffle=st.booleans())
@settings(deadline=None)
def test_each_image_is_tested_in_one_fold_and_validated_in_one(groups: list[str], seed: int, shuffle: bool) -> None:
    folds = [split(groups, Split(method="kfold", fold=f, seed=seed, shuffle=shuffle, folds=5)) for f in range(5)]
    assert sorted(i for parts in folds for i in parts.test) == list(range(len(groups)))
    for parts, following in zip(folds, [*folds[1:], folds[0]], strict=True):
        assert parts.val == following.test


def test_a_fraction_that_binary_cannot_hold_is_rounded_as_written() -> None:
    assert 0.29 * 50 < 14.5
    assert len(split(independent(50), Split(test=0.29)).test) == 15


def test_folds_differ_in_size_by_one_at_most() -> None:
    sizes = [len(split(independent(32), Split(method="kfold", fold=f)).test) for f in range(5)]
    assert sum(sizes) == 32
    assert max(sizes) - min(sizes) == 1


def test_a_single_volume_is_cut_in_contiguous_blocks() -> None:
    groups = ["stack"] * 30
    assert split(groups, Split(shuffle=False)) == Parts(tuple(range(18)), tuple(range(18, 24)), tuple(range(24, 30)))
    fold = split(groups, Split(method="kfold", shuffle=False, fold=4))
    assert (fold.test, fold.val, fold.train) == (tuple(range(24, 30)), tuple(range(6)), tuple(range(6, 24)))


@pytest.mark.parametrize("slices", [2, 30])
@pytest.mark.parametrize("method", ["fractions", "kfold"])
def test_slices_of_a_single_volume_cannot_be_shuffled(method: str, slices: int) -> None:
    with pytest.raises(InputError, match=r"slices of one volume, 'stack'.*protocol\.split\.shuffle=false") as caught:
        split(["stack"] * slices, Split(method=method))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_the_seed_decides_the_shuffle() -> None:
    groups = independent(40)
    assert split(groups, Split(seed=3)) == split(groups, Split(seed=3))
    assert split(groups, Split(seed=3)) != split(groups, Split(seed=4))
    assert split(groups, Split(seed=3)).test != tuple(range(32, 40))


def test_interleaved_volumes_are_gathered() -> None:
    parts = split(["a", "b", "c", "a", "b", "c"], Split(shuffle=False))
    assert parts == Parts((0, 3), (1, 4), (2, 5))


@pytest.mark.parametrize("count", [30, 267, 400])
def test_the_papers_split_is_scikit_learns(count: int) -> None:
    train, test = train_test_split(list(range(count)), test_size=0.2, random_state=41)
    parts = split(["one stack"] * count, Split(method="paper"))
    assert set(parts.train) == set(train)
    assert set(parts.test) == set(test)
    assert parts.val == parts.test
    assert not set(parts.train) & set(parts.test)


@pytest.mark.parametrize(
    ("groups", "config", "numbers"),
    [
        (independent(2), Split(), "2 images give train 0, val 1, test 1"),
        ([], Split(), "train 0, val 0, test 0"),
        (independent(4), Split(val=0.4, test=0.5), "train 0, val 2, test 2"),
        (["a"] * 9 + ["b"] * 9, Split(), "18 images in 2 volumes give train 0, val 9, test 9"),
        (independent(3), Split(method="kfold", fold=0), "train 2, val 1, test 0"),
        (independent(1), Split(method="paper"), "at least 2, not 1"),
    ],
)
def test_too_few_images_is_an_error_with_the_numbers(groups: list[str], config: Split, numbers: str) -> None:
    with pytest.raises(InputError, match="too few images for the split") as caught:
        split(groups, config)
    assert numbers in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_volumes_are_not_one():
    parts = split(["a", "a", "b", "b", "c"], Split(val=0.3, test=0.3))
    assert sorted(map(len, parts)) in ([1, 2, 2], [1, 1, 3])
    with pytest.raises(InputError, match="too few images"):
        split(["a", "a", "b", "b"], Split())  # two volumes for three parts: too few, but no single one


def test_one_image_is_too_few_and_no_volume_of_slices() -> None:
    for config in (Split(), Split(shuffle=False)):
        with pytest.raises(InputError, match="1 image gives train 0, val 1, test 0"):
            split(["a"], config)


def test_the_papers_split_of_two_images_is_one_and_one() -> None:
    parts = split(["a", "b"], Split(method="paper"))
    assert sorted(parts.train + parts.test) == [0, 1]
    assert len(parts.train) == len(parts.test) == 1


@pytest.mark.parametrize("folds", [3, 4, 7])
def test_there_may_be_as_many_folds_as_images_and_not_one_more(folds: int) -> None:
    parts = split(independent(folds), Split(method="kfold", folds=folds, fold=folds - 1, shuffle=False))
    assert (parts.test, parts.val) == ((folds - 1,), (0,))
    with pytest.raises(InputError, match="too few images"):
        split(independent(folds - 1), Split(method="kfold", folds=folds, shuffle=False))
    with pytest.raises(InputError, match=f"{folds} images cannot fill {folds + 1} folds"):
        split(independent(folds), Split(method="kfold", folds=folds + 1, fold=1, shuffle=False))


def test_three_images_are_the_fewest_that_fractions_divide() -> None:
    assert split(independent(3), Split(shuffle=False)) == Parts((0,), (1,), (2,))


def test_folds_of_volumes_are_counted_in_volumes() -> None:
    groups = ["a", "a", "b", "b", "c", "c"]
    with pytest.raises(InputError, match="3 volumes cannot fill 4 folds"):
        split(groups, Split(method="kfold", folds=4, fold=1, shuffle=False))
