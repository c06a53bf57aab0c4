"""Class indices from what mask files hold, at the edges of what is taken as it is."""

from pathlib import Path

import numpy as np
import pytest

from ablate.data.masks import class_indices
from ablate.errors import InputError

PATHS = (Path("a.png"), Path("b.png"))


@pytest.mark.parametrize(
    ("classes", "given", "expected", "were"),
    [
        (2, [1, 1, 1], [1, 1, 1], ()),  # the other class happens to be absent
        (2, [0, 1, 1], [0, 1, 1], ()),
        (2, [1, 2, 2], [0, 1, 1], (1, 2)),
        (3, [2, 2, 1], [2, 2, 1], ()),
        (1, [3, 1, 1], [1, 0, 0], (1, 3)),
        (1, [3, 3, 3], [1, 1, 1], ()),
        (1, [3, 0, 3], [1, 0, 1], ()),
        (1, [0, 0, 0], [0, 0, 0], ()),
    ],
)
def test_values_below_the_number_of_classes_are_classes_as_they_are(classes, given, expected, were):
    (found,), labels = class_indices([np.array([given])], PATHS[:1], classes)
    assert (found.tolist(), labels, found.dtype) == ([expected], were, np.uint8)


@pytest.mark.parametrize(("count", "shown"), [(6, "0, 1, 2, 3, 4, 5"), (7, "0, 1, 2, 3, 4, 5, ...")])
def test_too_many_values_are_shown_up_to_six(count, shown):
    masks = [np.zeros((3, 3)), np.arange(count)]
    with pytest.raises(InputError, match=rf"mask 'b\.png' makes it {count} distinct values \({shown}\), at most 2 fit"):
        class_indices(masks, PATHS, 1)


def test_as_many_values_as_classes_fit():
    found, labels = class_indices([np.array([[7, 9]]), np.array([[8, 8]])], PATHS, 3)
    assert [mask.tolist() for mask in found] == [[[0, 2]], [[1, 1]]]
    assert labels == (7, 8, 9)
    with pytest.raises(InputError, match="at most 2 fit"):
        class_indices([np.array([[7, 9]]), np.array([[8, 8]])], PATHS, 2)
