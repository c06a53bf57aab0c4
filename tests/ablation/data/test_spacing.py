"""How long a pixel is where an image is scored."""

from __future__ import annotations

import numpy as np
import pytest

from ablate.data.dataset import assemble
from ablate.data.settings import Folder
from ablate.data.source import Sample
from ablate.data.spacing import spacings_at

OWN = [((40, 20), (1.5, 3.0)), ((20, 20), (2.0, 2.0)), ((16, 48), (0.5, 0.25))]


def samples(*, without: int | None = None) -> list[Sample]:
    return [
        Sample(
            str(at),
            str(at),
            np.zeros(size, np.uint8),
            np.eye(*size, dtype=np.uint8),
            spacing=None if at == without else spacing,
        )
        for at, (size, spacing) in enumerate(OWN)
    ]


@pytest.mark.parametrize("fit", ["stretch", "pad"])
def test_what_an_image_measures_in_millimetres_stays_as_it_is(fit):
    """However it is resized: the pixels that show it, times their length, are its sides."""
    data = assemble(samples(), Folder(size=(16, 24), fit=fit, scored_at="size"))
    found = spacings_at(data, [2, 0, 1])
    assert found is not None
    for at, (down, across) in zip([2, 0, 1], found, strict=True):
        (height, width), (own_down, own_across) = OWN[at]
        rows, columns = 16, 24
        if fit == "pad":
            factor = min(16 / height, 24 / width)
            rows, columns = round(height * factor), round(width * factor)
        assert (down * rows, across * columns) == pytest.approx((height * own_down, width * own_across))


def test_at_its_own_size_it_is_the_file_s():
    data = assemble(samples(), Folder(size=(16, 24), scored_at="image"))
    assert spacings_at(data, [1, 0]) == [(2.0, 2.0), (1.5, 3.0)]
    assert spacings_at(data, [1], at_trial_size=True) == [(2.0 * 20 / 16, 2.0 * 20 / 24)]
    patches = assemble(samples(), Folder(size=(16, 16), fit="patches", scored_at="image"))
    assert spacings_at(patches, [1], at_trial_size=True) == [(2.0, 2.0)]


@pytest.mark.parametrize("without", [0, 2])
def test_one_image_without_has_all_of_them_measured_in_pixels(without):
    data = assemble(samples(without=without), Folder(size=(16, 24)))
    assert spacings_at(data, [1]) is None
    assert spacings_at(assemble([one._replace(spacing=None) for one in samples()], Folder(size=(16, 24))), [0]) is None
