"""A search in a study that measures: what the study keeps, where the search remembers, and what it refuses."""

from pathlib import Path
from typing import NamedTuple

import pytest

from ablate.cost import measured as measuring
from ablate.cost.machine import this_machine
from ablate.cost.measured import Measured
from ablate.errors import InputError
from ablate.runners.execution.budget import Budget
from ablate.runners.request import Request, basis
from ablate.runners.search.catalogue import measuring_device
from ablate.runners.search.freeze_thaw.costs import SPREAD
from ablate.runners.search.freeze_thaw.in_study import Asked, Place, make_thaw_queue
from ablate.runners.search.freeze_thaw.in_tune import ThawQueue
from ablate.runners.search.freeze_thaw.journal import Took, append_event, read_events
from ablate.search_spaces.plan import Planner
from ablate.search_spaces.schedule import Times
from ablate.study.study import Study

SPACE = {
    "name": "widths",
    "question": "Do wider networks pay?",
    "design": "grid",
    "base": {
        "model": {"name": "unet", "stages": 2},
        "data": {"name": "phantom", "count": 15, "size": [32, 32]},
        "protocol": {"epochs": 2},
    },
}


class Fake(NamedTuple):
    asked: list[int]
    """The widths that were measured."""

    def __call__(self, network, channels, classes, size, device, **more) -> Measured:
        width = network.settings["width"]
        self.asked.append(width)
        on = measuring_device()
        return Measured(
            latency_ms=0.1 * width, latency_iqr_ms=0, peak_memory_mb=9 + width, device=on, threads=1, channels=channels,
            size=size, repeats=20, precision="float32", load=None, versions={},
        )  # fmt: skip


@pytest.fixture
def fake(monkeypatch) -> Fake:
    found = Fake([])
    monkeypatch.setattr(measuring, "measure", found)
    return found


def queue(study: Study, costs=("params", "latency_ms"), constraints=(), learning_rates=(0.001, 0.01)) -> ThawQueue:
    factors = {"model.width": [2, 4, 6, 8], "protocol.learning_rate": list(learning_rates)}
    found = basis(SPACE | {"constraints": constraints, "factors": factors}, None, None, "quick", 1, None, {})
    planner = Planner(found.space, found.profile, dataset_of=found.dataset_of, **found.arguments)
    return make_thaw_queue(
        study, planner, Asked(0, None, 1, costs), Place("quick", 1, None, None), times=Times(this_machine()),
        bar_of=lambda trials: 0.1, budget_of=lambda trials: Budget(), proposed=lambda trials: None,
    )  # fmt: skip


def test_a_network_is_measured_once_and_the_study_keeps_it_for_each_of_its_cells(tmp_path: Path, fake: Fake) -> None:
    study = Study.open_or_new(tmp_path / "study")
    with study.writing():
        queue(study)
        kept = study.measurements()
        assert sorted(fake.asked) == [2, 4, 6, 8]
        assert len(kept) == SPREAD
        assert {found.peak_memory_mb for found in kept.values()} == {11, 13, 15, 17}
        queue(study)
    assert len(fake.asked) == 4
    assert [file.name for file in (study.path / "searches").iterdir()] == [
        "widths-quick-freeze_thaw-params+latency_ms-0.jsonl"
    ]


def test_other_costs_and_a_bound_are_other_searches_and_measured_figures_are_those_of_the_study(
    tmp_path: Path, fake: Fake
) -> None:
    study = Study.open_or_new(tmp_path / "study")
    with study.writing():
        queue(study, ("params", "macs"))
        assert fake.asked == []
        queue(study, ("params", "macs"), ["latency_ms <= 0.5"])
        assert sorted(fake.asked) == [2, 4, 6, 8]
        queue(study, ("peak_memory_mb",))
    assert len(fake.asked) == 4
    assert {file.name for file in (study.path / "searches").iterdir()} == {
        "widths-quick-freeze_thaw-within_latency_ms-0.jsonl",
        "widths-quick-freeze_thaw-peak_memory_mb-0.jsonl",
    }


def test_a_bound_that_nothing_is_within_is_one_line(tmp_path: Path, fake: Fake) -> None:
    study = Study.open_or_new(tmp_path / "study")
    with study.writing(), pytest.raises(InputError, match=r"can be trained: latency_ms 0\.2: the space allows 0\.1"):
        queue(study, ("params", "macs"), ["latency_ms <= 0.1"], learning_rates=[0.001])


def test_what_was_measured_on_another_machine_is_not_compared(tmp_path: Path, fake: Fake) -> None:
    study = Study.open_or_new(tmp_path / "study")
    with study.writing():
        queue(study)
        file = next((study.path / "searches").iterdir())
        whole = file.read_text()
        assert measuring_device() in whole
        file.unlink()
        (tmp_path / "one").write_text(whole)
        for event in read_events(tmp_path / "one"):
            assert isinstance(event, Took)
            append_event(file, event.model_copy(update={"on": "cpu (another, 1 thread)"}))
        with pytest.raises(InputError, match=r"measured its networks on cpu \(another, 1 thread\), and here is"):
            queue(study)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cost": ("latency_ms",)}, "--cost latency_ms: it is what --search goes by"),
        ({"cost": ("latency_ms",), "sampler": "tpe"}, "--cost latency_ms: samplers go by params and macs"),
    ],
)
def test_costs_without_a_search_are_refused(options, message) -> None:
    with pytest.raises(InputError, match=message):
        Request(space="baselines", **options).check()


def test_costs_are_taken_once_each_in_one_order() -> None:
    assert Request(space="baselines", search=True).costs == ("params", "macs")
    asked = ("latency_ms", "params", "latency_ms")
    assert Request(space="baselines", search=True, cost=asked).costs == ("params", "latency_ms")
