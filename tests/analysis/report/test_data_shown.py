"""A study's data sets in its report, images with their masks, and which of them are chosen."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from ablate.analysis.report.content import Content
from ablate.analysis.report.data_facts import read_looks, share
from ablate.analysis.report.data_page import choose
from ablate.analysis.report.outlines import COLOURS, outlined
from ablate.analysis.report.sections.data import DataSets
from ablate.data.check import look
from ablate.data.load import load_data
from ablate.data.settings import Phantom, Split
from ablate.data.source import IGNORED
from ablate.errors import InputError
from ablate.study.runs import DataRecord

HOSTILE = "</script><script>alert(1)</script>\x1b[31m\"'&"


def facts() -> dict[str, Any]:
    data = load_data(Phantom(count=10, size=(16, 16)))
    return {"looks": [look(data, data.split(Split())).plain()]}


def section(**records: DataRecord) -> str:
    study = SimpleNamespace(data_records=lambda: records)
    content = cast(Content, SimpleNamespace(study=study))
    return "".join(str(part()) for part in DataSets().parts(content))


def test_what_a_study_keeps_is_shown_with_its_doubts() -> None:
    html = section(a=DataRecord(title="Hospital A", facts=facts(), doubts=["masks look inverted"]))
    for text in ("Hospital A", "10 images of float32, 16×16", "training", "masks look inverted"):
        assert text in html


def test_a_study_of_an_earlier_version_shows_nothing() -> None:
    assert section(a=DataRecord(title="Old")) == ""
    assert [part() for part in DataSets().parts(cast(Content, SimpleNamespace(study=None)))] == [""]


def test_nothing_of_a_strangers_study_acts() -> None:
    hostile = facts()
    hostile["looks"][0]["stored"] = {HOSTILE: 3}
    hostile["looks"][0]["parts"]["train"]["classes"][0]["name"] = HOSTILE
    html = section(a=DataRecord(title="A", facts=hostile, doubts=[HOSTILE]))
    assert "<script>" not in html
    assert "\x1b" not in html
    assert html.count("&lt;script&gt;") >= 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"looks": 3},
        {"looks": [{}] * 60},
        {"looks": [{"size": [1, 2]}]},
        {"looks": [{**facts()["looks"][0], "stored": {"x" * 300: 1}}]},
        {"looks": [{**facts()["looks"][0], "least": [-1, 10**12]}]},
        {"looks": [{**facts()["looks"][0], "parts": {str(i): {} for i in range(9)}}]},
    ],
)
def test_what_is_no_look_is_said_in_its_place(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="what is kept of the data set"):
        read_looks(wrong)
    html = section(a=DataRecord(facts=wrong), b=DataRecord(title="Sound", facts=facts()))
    assert "could not be made" in html
    assert "Sound" in html


def test_many_doubts_and_data_sets_are_cut() -> None:
    records = {f"{i:012x}": DataRecord(title=f"Set {i}", facts=facts(), doubts=["?"] * 100) for i in range(20)}
    html = section(**records)
    assert html.count("<h3>") == 12
    assert "And 8 more data sets." in html
    assert "And 60 more doubts." in html


def test_shares_are_not_rounded_to_nothing() -> None:
    assert [share(value) for value in (0, 1e-6, 0.0123, 1)] == ["0.0 %", "<0.1 %", "1.2 %", "100.0 %"]


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("shape", [(16, 16), (40, 20), (600, 300)])
def test_masks_are_outlined_each_class_in_its_colour(channels: int, shape: tuple[int, int]) -> None:
    image = np.linspace(-1, 1, channels * shape[0] * shape[1], dtype=np.float32).reshape(channels, *shape)
    mask = np.zeros(shape, np.uint8)
    mask[shape[0] // 4 : shape[0] // 2, 2:-2] = 1
    mask[shape[0] // 2 : shape[0] * 3 // 4, 2:-2] = 2
    mask[-shape[0] // 8 :] = IGNORED
    picture = np.asarray(outlined(image, mask))
    assert max(picture.shape) <= 256
    assert picture.shape[0] * shape[1] == pytest.approx(picture.shape[1] * shape[0], rel=0.02)
    colours = {tuple(colour) for colour in picture.reshape(-1, 3)}
    assert set(COLOURS[:2]) <= colours
    assert COLOURS[2] not in colours
    scale = picture.shape[0] / shape[0]
    middle = picture[round(shape[0] * 0.375 * scale), picture.shape[1] // 2]
    assert tuple(middle) not in COLOURS  # within a class the image is to be seen
    hatched = (picture[-max(1, picture.shape[0] // 10) :] == 200).all(axis=2)
    assert 0.05 < hatched.mean() < 0.6


def test_doubtful_images_are_chosen_first_of_each_kind_and_then_all_parts() -> None:
    parts = [range(600), range(600, 800), range(800, 1000)]
    doubts = dict.fromkeys(range(0, 500), ("empty",)) | {999: ("twice",)}
    chosen = choose(doubts, parts, 60)
    assert len(chosen) <= 60
    assert 999 in chosen
    assert all(len(chosen & set(part)) >= 8 for part in parts)
    assert sum(i in doubts for i in chosen) <= 50
    assert choose({}, [range(3), (), range(3, 5)], 60) == set(range(5))
