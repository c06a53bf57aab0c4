"""Large data sets: decoded file by file, kept as they were made ready, and read from there."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from ablate.data import load, samples, store
from ablate.data.dataset import Dataset
from ablate.data.load import load_data
from ablate.data.ragged import Ragged
from ablate.data.settings import Folder, Mni152
from ablate.data.store import Kept, as_it_travels
from ablate.errors import InputError
from ablate.progress import told_to

VALUES = np.array([0, 3, 7], np.uint8)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twelve images of three sizes, in colour and grey, whose masks hold 0, 3 and 7; and two volumes."""
    folder = tmp_path / "data"
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for i in range(12):
        rng = np.random.default_rng(i)
        shape = [(20, 20), (16, 30), (24, 18)][i % 3]
        image = rng.integers(0, 256, (*shape, 3) if i % 4 == 0 else shape).astype(np.uint8)
        Image.fromarray(image).save(folder / "images" / f"p{i // 4}_{i}.png")
        mask = VALUES[rng.integers(0, 3, shape)]
        Image.fromarray(mask).save(folder / "masks" / f"p{i // 4}_{i}.png")
    for i in range(2):
        rng = np.random.default_rng(100 + i)
        affine = np.diag([-0.7, 0.7, 2.0, 1.0])
        volume = rng.normal(100, 30, (18, 20, 3)).astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(volume, affine), folder / "images" / f"v{i}_scan.nii.gz")
        mask = VALUES[rng.integers(0, 3, (18, 20, 3))]
        nibabel.save(nibabel.Nifti1Image(mask, affine), folder / "masks" / f"v{i}_scan.nii.gz")
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every data set is large."""
    monkeypatch.setenv(store.VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(load, "LARGE", 0)
    monkeypatch.setattr(samples, "LARGE", 0)
    return tmp_path / "cache"


def arrays(data: Dataset) -> dict[str, Any]:
    found = {"images": data.images, "masks": data.masks, "drawn": data.drawn, "thumbnails": data.facts.thumbnails}
    return {name: list(one) if isinstance(one, Ragged) else one for name, one in found.items()}


def assert_equal(one: Dataset, other: Dataset) -> None:
    for name in ("config", "ids", "groups", "notes", "spacings", "fixed", "strata", "own_sizes", "passed_over"):
        assert getattr(one, name) == getattr(other, name), name
    assert one.facts.images == other.facts.images
    for name, array in arrays(one).items():
        np.testing.assert_equal(array, arrays(other)[name], name)


SETTINGS: dict[str, dict[str, Any]] = {
    "stretched": {"n_classes": 3},
    "by labels": {"labels": {"nothing": 0, "liver": 3, "tumour": 7}, "channels": 3},
    "padded, at its own size": {"n_classes": 3, "fit": "pad", "scored_at": "image"},
    "at its own size": {"n_classes": 3, "scored_at": "image"},
    "patches": {"n_classes": 3, "fit": "patches", "scored_at": "image"},
    "z-scores by case": {"n_classes": 3, "intensity": "zscore", "case": "(p[0-9]|v[0-9])_"},
    "percentiles of few": {"labels": [0, 3], "ignore": 7, "intensity": "percentiles", "spacing": (1, 2)},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_what_is_decoded_file_by_file_and_kept_is_what_is_decoded_at_once(root, cache, monkeypatch, name):
    asked = Folder(root=root, size=(16, 16), **SETTINGS[name])
    first = load_data(asked)
    assert isinstance(first, Kept)
    again = load_data(asked)
    monkeypatch.setattr(load, "LARGE", 1e9)
    monkeypatch.setattr(samples, "LARGE", 1e9)
    at_once = load_data(asked)
    assert not isinstance(at_once, Kept)
    assert_equal(first, at_once)
    assert_equal(again, at_once)
    assert first.config.local == at_once.config.local


def test_a_second_run_decodes_nothing(root, cache, monkeypatch):
    asked = Folder(root=root, size=(16, 16), n_classes=3)
    first = load_data(asked)
    monkeypatch.setattr(samples, "_read_pair", lambda *given: pytest.fail("it decodes"))
    assert_equal(load_data(asked), first)
    with pytest.raises(pytest.fail.Exception, match="it decodes"):
        load_data(asked, fresh=True)
    with pytest.raises(pytest.fail.Exception, match="it decodes"):
        load_data(Folder(root=root, size=(8, 8), n_classes=3))


def test_of_what_was_made_ready_nothing_stays_in_memory_and_how_far_it_is_is_told(root, cache, monkeypatch):
    decode, made, together, told = samples._samples, [], [], []

    def decoded(*given: Any) -> list[Any]:
        found = [one._replace(image=one.image.copy(), mask=one.mask.copy()) for one in decode(*given)]
        together.append(sum(array() is not None for array in made))
        made.extend(weakref.ref(array) for one in found for array in (one.image, one.mask))
        return found

    monkeypatch.setattr(samples, "_samples", decoded)
    with told_to(lambda *given: told.append(given)):
        load_data(Folder(root=root, size=(16, 16), n_classes=3, scored_at="image"))
    assert len(made) == 2 * (12 + 2 * 3)
    assert max(together) <= 2 * 3, "more than the arrays of one file"
    assert told == [
        *(("reading masks", done, 14) for done in range(1, 15)),
        *(("making images ready", done, 14) for done in range(1, 15)),
    ]


@pytest.mark.parametrize("change", ["pixel", "new", "gone", "renamed", "table"])
def test_what_changed_is_made_ready_anew(root, cache, change):
    (root / "cases.csv").write_text(
        "image,case\n" + "".join(f"p{i // 4}_{i},{i}\n" for i in range(12)) + "v0_scan,a\nv1_scan,b\n"
    )
    asked = Folder(root=root, size=(16, 16), n_classes=3, case="cases.csv")
    first = load_data(asked)
    image, mask = root / "images" / "p0_1.png", root / "masks" / "p0_1.png"
    status = image.stat()
    if change == "pixel":
        pixels = np.asarray(Image.open(image)).copy()
        pixels[0, 0] ^= 1
        Image.fromarray(pixels).save(image)
    elif change == "table":
        (root / "cases.csv").write_text((root / "cases.csv").read_text().replace("p0_1,1", "p0_1,2"))
    else:
        table = (root / "cases.csv").read_text()
        if change == "new":
            for kind in ("images", "masks"):
                (root / kind / "p9_1.png").write_bytes((root / kind / "p0_1.png").read_bytes())
            table += "p9_1,9\n"
        elif change == "gone":
            image.unlink()
            mask.unlink()
            table = table.replace("p0_1,1\n", "")
        else:
            image.rename(image.with_stem("p0_one"))
            mask.rename(mask.with_stem("p0_one"))
            table = table.replace("p0_1,", "p0_one,")
        (root / "cases.csv").write_text(table)
    if change == "pixel":  # neither size nor time need differ by much
        os.utime(image, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    second = load_data(asked)
    assert second.config.fingerprint != first.config.fingerprint
    assert_equal(second, load_data(asked, fresh=True))
    assert len(list((cache / "data").iterdir())) == 1  # in place of the other


def test_another_fingerprint_than_was_asked_for_is_refused_from_the_cache_too(root, cache):
    asked = Folder(root=root, size=(16, 16), n_classes=3)
    load_data(asked)
    with pytest.raises(InputError, match="the images or masks of folder changed"):
        load_data(asked.model_copy(update={"fingerprint": "0123456789ab"}))


def test_it_travels_as_a_place_and_to_other_machines_whole(root, cache):
    data = load_data(Folder(root=root, size=(16, 16), n_classes=3, scored_at="image"))
    assert len(pickle.dumps(data)) < 1000 < data.images.nbytes
    script = (
        "import pickle, sys; data = pickle.load(sys.stdin.buffer);"
        "print(type(data).__name__, data.config.fingerprint, float(data.images.sum()), data.images.flags.writeable)"
    )
    done = subprocess.run([sys.executable, "-c", script], input=pickle.dumps(data), capture_output=True, check=True)
    expected = f"Kept {data.config.fingerprint} {float(data.images.sum())} False"
    assert done.stdout.decode().strip() == expected
    assert as_it_travels(data, far=False) is data
    far = as_it_travels(data, far=True)
    assert type(far) is Dataset
    assert_equal(pickle.loads(pickle.dumps(far)), data)


def test_what_travels_and_is_gone_says_so(root, cache):
    data = load_data(Folder(root=root, size=(16, 16), n_classes=3))
    sent = pickle.dumps(data)
    for file in data.place.iterdir():
        file.unlink()
    with pytest.raises(InputError, match=r"cannot be read any more .*: run the command again"):
        pickle.loads(sent)


@pytest.mark.parametrize("damage", ["about.json", "images.npy", "masks.npy", "thumbnails.npy"])
def test_what_was_damaged_is_made_ready_anew(root, cache, damage):
    asked = Folder(root=root, size=(16, 16), n_classes=3)
    first = load_data(asked)
    before = {name: np.array(one) for name, one in arrays(first).items() if one is not None}
    file = first.place / damage
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content[: len(content) // 2])
    second = load_data(asked)
    for name, array in before.items():
        np.testing.assert_equal(arrays(second)[name], array)
    assert len(list((cache / "data").iterdir())) == 1


def test_a_data_set_that_is_refused_leaves_nothing(root, cache):
    with pytest.raises(InputError, match="distinct values"):
        load_data(Folder(root=root, size=(16, 16)))
    (root / "masks" / "v1_scan.nii.gz").write_bytes(b"")
    with pytest.raises(InputError, match="is empty"):
        load_data(Folder(root=root, size=(16, 16), labels=[0, 3, 7]))
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(root / "masks" / "p2_11.png")
    (root / "masks" / "v1_scan.nii.gz").write_bytes((root / "masks" / "v0_scan.nii.gz").read_bytes())
    with pytest.raises(InputError, match=r"but its mask 'p2_11\.png' is 5x5"):
        load_data(Folder(root=root, size=(16, 16), labels=[0, 3, 7]))
    assert not list((cache / "data").iterdir())


def test_without_a_place_for_it_it_is_made_ready_in_memory(root, cache, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(store.VARIABLE, str(tmp_path / "file"))
    assert type(load_data(Folder(root=root, size=(16, 16), n_classes=3))) is Dataset
    monkeypatch.delenv(store.VARIABLE)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert type(load_data(Folder(root=root, size=(16, 16), n_classes=3))) is Dataset


def test_a_full_disk_is_one_line_with_a_remedy(root, cache, monkeypatch):
    monkeypatch.setattr(store.shutil, "disk_usage", lambda place: SimpleNamespace(free=1))
    with pytest.raises(InputError, match=r"take 0\.0 GB, and 0\.0 GB of disk at .* \(\$ABLATE_CACHE\) are available"):
        load_data(Folder(root=root, size=(16, 16), n_classes=3))


def test_small_data_sets_leave_no_trace(root, tmp_path, monkeypatch):
    monkeypatch.setenv(store.VARIABLE, str(tmp_path / "cache"))
    assert type(load_data(Folder(root=root, size=(16, 16), n_classes=3))) is Dataset
    assert not (tmp_path / "cache").exists()


def test_what_comes_with_a_package_is_made_ready_once(tmp_path, monkeypatch):
    """And is in memory then, so that a cache which is emptied costs no trial."""
    monkeypatch.setenv(store.VARIABLE, str(tmp_path / "cache"))
    first = load_data(Mni152(slices=5, size=(32, 32)))
    with monkeypatch.context() as patch:
        patch.setattr(Mni152, "read", lambda self: pytest.fail("it is decoded again"))
        again = load_data(Mni152(slices=5, size=(32, 32)))
    shutil.rmtree(tmp_path / "cache")
    assert type(again) is Dataset
    assert_equal(again, first)
    fresh = load_data(Mni152(slices=5, size=(32, 32)), fresh=True)
    assert_equal(fresh, first)


def test_without_a_cache_what_comes_with_a_package_is_read_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(store.VARIABLE, str(tmp_path / "file"))
    assert len(load_data(Mni152(slices=5, size=(32, 32)))) == 5
