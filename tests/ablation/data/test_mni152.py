"""The embedded brain: whole, upright, never empty, and read without nilearn's slow import."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from nibabel import load

from ablate.data import mni152
from ablate.data.load import load_data
from ablate.data.mni152 import FIRST_Z, LAST_Z
from ablate.data.settings import Mni152
from ablate.errors import InputError

Target = Literal["grey_matter", "white_matter", "brain"]


@pytest.mark.parametrize(
    ("target", "plausible"), [("grey_matter", (0.2, 0.3)), ("white_matter", (0.1, 0.2)), ("brain", (0.3, 0.45))]
)
def test_masks_are_of_plausible_size_and_never_empty(target: Target, plausible: tuple[float, float]) -> None:
    data = load_data(Mni152(target=target))
    assert data.images.shape == (60, 1, 96, 96)
    assert plausible[0] < data.masks.mean() < plausible[1]
    assert data.masks.mean(axis=(1, 2)).min() > 0.005


def test_tissues_are_brighter_than_background_and_white_matter_brightest() -> None:
    t1 = load_data(Mni152()).images[:, 0]
    grey, white, brain = (
        load_data(Mni152(target=target)).masks == 1 for target in ("grey_matter", "white_matter", "brain")
    )
    assert t1[white].mean() > t1[grey].mean() > t1[~brain].mean() + 0.5


def test_slices_are_evenly_spaced_bottom_to_top_of_one_volume() -> None:
    samples = mni152.read(Mni152(slices=20))
    heights = np.array([int(sample.id.removeprefix("mni152_z")) for sample in samples])
    assert (heights[0], heights[-1]) == (FIRST_Z, LAST_Z)
    assert set(np.diff(heights)) <= {6, 7}
    assert {sample.group for sample in samples} == {"mni152"}
    assert {(sample.image.shape, sample.image.dtype.name) for sample in samples} == {((192, 192), "uint8")}


def test_the_brain_fits_whole_and_upright() -> None:
    """Against the volume itself, whose axes run to the right, the front and up."""
    package = find_spec("nilearn")
    assert package is not None
    assert package.origin is not None
    file: Any = load(Path(package.origin).parent / "datasets/data/mni_icbm152_wm_tal_nlin_sym_09a_converted.nii.gz")
    white = np.asarray(file.dataobj) >= 128
    areas = white.sum(axis=(0, 1))
    assert np.flatnonzero(areas >= 300).tolist() == list(range(FIRST_Z, LAST_Z + 1))
    for sample, z in zip(
        mni152.read(Mni152(target="white_matter", slices=125)), range(FIRST_Z, LAST_Z + 1), strict=True
    ):
        assert sample.mask.sum() == areas[z]
        front, back = np.flatnonzero(white[:, :, z].any(axis=0))[[-1, 0]]
        rows = np.flatnonzero(sample.mask.any(axis=1))
        assert (rows[-1] - rows[0]) == front - back
        np.testing.assert_array_equal(sample.mask[rows[0]], white[2:194, front, z])
    brain = np.any([sample.mask for sample in mni152.read(Mni152(target="brain", slices=125))], axis=0)
    assert not brain[[0, -1]].any()
    assert not brain[:, [0, -1]].any()


def test_the_same_slices_whatever_the_target() -> None:
    grey, brain = load_data(Mni152()), load_data(Mni152(target="brain"))
    np.testing.assert_array_equal(grey.images, brain.images)
    assert grey.config.fingerprint != brain.config.fingerprint


def test_more_slices_than_there_are_is_an_error() -> None:
    assert len(load_data(Mni152(slices=LAST_Z - FIRST_Z + 1, size=(32, 32)))) == 125
    with pytest.raises(ValueError, match="less than or equal to 125"):
        Mni152(slices=126)


def test_without_nilearn_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mni152.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install nilearn"):
        mni152.read(Mni152())


def test_reading_does_not_import_nilearn_and_importing_is_light() -> None:
    code = """
import sys, ablate.data.load
heavy = {'torch', 'PIL', 'nibabel', 'tifffile', 'scipy', 'sklearn', 'nilearn'}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
from ablate.data.settings import Mni152
ablate.data.load.load_data(Mni152(slices=5))
assert 'nilearn' not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
