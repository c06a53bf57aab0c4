"""A data set that is a function: what every data set has is filled in, and its folder is this machine's."""

from pathlib import Path

import pytest

from ablate.data.load import load_data, source_of
from ablate.errors import InputError
from ablate.kinds import KINDS, parse
from ablate.modules import code_from
from ablate.part import DataPart

KIND = KINDS["data set"]
SOURCE = """
import numpy as np

def discs(size=(64, 64), count=6, root=None):
    for i in range(count):
        mask = np.zeros(size, np.uint8)
        mask[2:6, 2 + i % 3 : 7] = 1
        yield f"{root.name if root else 'disc'} {i}", mask * 200, mask
"""


@pytest.fixture(autouse=True)
def _mine(tmp_path: Path):
    (tmp_path / "my_data.py").write_text(SOURCE)
    with code_from(tmp_path):
        yield


def test_it_needs_nothing_but_its_name() -> None:
    part = parse(KIND, {"name": "my_data:discs"})
    assert (part.size, part.channels, part.fingerprint, part.classes) == ((128, 128), 1, "", 1)
    dataset = load_data(part)
    assert dataset.images.shape == (6, 1, 128, 128)
    assert dataset.ids[0] == "disc 0"
    assert dataset.config.fingerprint


def test_what_every_data_set_has_is_checked_and_kept_even_where_the_function_has_the_same_default() -> None:
    part = parse(KIND, {"name": "my_data:discs", "size": [64, 64], "count": 6, "n_classes": 2})
    assert part.size == (64, 64)
    assert part.settings == {"size": [64, 64], "channels": 1, "fingerprint": "", "n_classes": 2}
    assert load_data(part).masks.shape == (6, 64, 64)
    for wrong in ({"size": [4, 4]}, {"channels": 0}, {"n_classes": 0}, {"cuont": 3}):
        with pytest.raises(InputError, match="data my_data:discs: "):
            parse(KIND, {"name": "my_data:discs", **wrong})


def test_its_folder_reaches_it_and_is_in_no_record(tmp_path: Path) -> None:
    part = parse(KIND, {"name": "my_data:discs", "size": [16, 16]}, local={"root": str(tmp_path)})
    assert load_data(part).ids[0] == f"{tmp_path.name} 0"
    assert "root" not in part.canonical()
    with pytest.raises(InputError, match="root has no place in a recorded configuration"):
        source_of(DataPart({**part.canonical(), "root": str(tmp_path)}))
