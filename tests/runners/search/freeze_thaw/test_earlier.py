"""What a search learns from earlier studies: the model against scikit-learn's, what it is worth, and how it is kept."""

import math
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from test_curves import NAMED, Sum, problem

from ablate.cost.machine import this_machine
from ablate.errors import InputError
from ablate.runners.execution.budget import Budget
from ablate.runners.request import Request, basis
from ablate.runners.search.encoding import Encoding, placed
from ablate.runners.search.freeze_thaw import curves, earlier
from ablate.runners.search.freeze_thaw.cells import Offered
from ablate.runners.search.freeze_thaw.curves import Curves, Parameters
from ablate.runners.search.freeze_thaw.earlier import Earlier, EarlierCurve, Foreseen, earlier_curve, evenly
from ablate.runners.search.freeze_thaw.in_study import Asked, Place, make_thaw_queue
from ablate.runners.search.freeze_thaw.journal import Learnt, read_events
from ablate.runners.search.freeze_thaw.learning import read_earlier
from ablate.search_spaces.plan import Planner
from ablate.search_spaces.schedule import Times
from ablate.search_spaces.space import Space
from ablate.study.study import Study

ASSETS = Path(__file__).parents[3] / "assets"
TIMES = np.arange(4) / 3


class Linear(Sum):
    """With what is known beforehand, written down once more."""

    def __init__(self, features, named, parameters, departures):
        super().__init__(features, named, parameters)
        self.departures = departures

    def _of(self, a, b):
        one, other = (self.departures[0, int(row[0]), round(3 * row[1])] for row in (a, b))
        return super()._of(a, b) + earlier._DOUBT**2 * one * other


def foreseen(features: np.ndarray) -> Foreseen:
    return Foreseen(TIMES, np.random.default_rng(5).normal(size=(1, len(features), 4)))


def test_what_is_expected_with_an_earlier_study_is_scikit_learn_s():
    features, observed = problem()
    parameters, known = Parameters.prior(3), foreseen(features)
    noise = np.exp(parameters.noise) / observed.seeds + curves._JITTER
    shift, spread = curves.standard_of(observed.values)
    mean = earlier._TRUST * known.departures[0]
    seen = mean[observed.cells, np.round(3 * observed.times).astype(int)]
    reference = GaussianProcessRegressor(
        Linear(features, NAMED, parameters, known.departures), alpha=noise, optimizer=None
    )
    reference.fit(
        np.column_stack([observed.cells, observed.times]), (observed.values - shift) / spread - seen + seen.mean()
    )
    asked = np.arange(len(features)), np.ones(len(features))
    expected, deviation = reference.predict(np.column_stack(asked), return_std=True)
    ours = Curves.given(features, NAMED, observed, parameters, known)
    assert ours.at(*asked)[0] == pytest.approx(shift + spread * (expected + mean[:, 3] - seen.mean()))
    assert ours.at(*asked)[1] == pytest.approx(spread * deviation)
    drawn = ours.drawn(*asked, 20_000, np.random.default_rng(0))
    assert drawn.mean(axis=1) == pytest.approx(ours.at(*asked)[0], abs=4 * spread * deviation.max() / np.sqrt(20_000))
    believed = ours.believing(*asked, ours.at(*asked)[0][:, None]).at(*asked)
    assert believed[0][:, 0] == pytest.approx(ours.at(*asked)[0])


def test_the_gradient_is_that_of_the_posterior_with_an_earlier_study():
    features, observed = problem()
    known, posterior = foreseen(features), curves._Posterior(features, NAMED, observed)
    posterior.know(known.expected(observed.cells, observed.times), known.basis(observed.cells, observed.times))
    at = Parameters.prior(3).flat + np.linspace(-0.5, 0.5, 10)
    steps = 1e-5 * np.eye(len(at))
    differences = [(posterior(at + step)[0] - posterior(at - step)[0]) / 2e-5 for step in steps]
    assert posterior(at)[1] == pytest.approx(differences, rel=1e-4, abs=1e-5)


# Of earlier studies --------------------------------------------------------------------------------------------------


def quality(width: int) -> float:
    return 0.5 + 0.004 * width


def study_of(widths, better=quality) -> tuple[EarlierCurve, ...]:
    best = [{epoch: better(width) * (1 - math.exp(-epoch / 3)) for epoch in range(1, 10)} for width in widths]
    return tuple(
        earlier_curve({"width": str(width)}, width**2, [of], 9) for width, of in zip(widths, best, strict=True)
    )


def ends_of(studies, widths=(10, 30, 50, 70, 90)) -> np.ndarray:
    """How far the end of each width is from the mean of the studies."""
    known = Earlier(studies, lambda levels: [int(levels["width"]) / 100], np.array([False]), 0)
    offered = [Offered(str(w), (w / 100, math.log10(w**2)), (w**2,), 1.0, 27, (f"k{w}",)) for w in widths]
    found = known.foreseen(offered, 27)
    assert known.foreseen(offered, 27).departures == pytest.approx(found.departures)
    return found.expected(np.arange(len(widths)), np.ones(len(widths)))


def test_an_earlier_study_tells_of_what_it_did_not_train():
    ends = ends_of([study_of(range(0, 101, 20))])
    assert (np.diff(ends) > 0).all()
    assert abs(ends[2]) < 0.2 * ends[4]


def test_studies_that_contradict_each_other_tell_nothing():
    against = study_of(range(0, 101, 20), lambda width: quality(100 - width))
    assert (
        np.abs(ends_of([study_of(range(0, 101, 20)), against])).max() < 0.2 * ends_of([study_of(range(0, 101, 20))])[4]
    )


def test_configurations_that_are_not_told_apart_are_one():
    twice = study_of([20, 20, 60, 60], lambda width: quality(width)) + study_of([20], lambda width: 0.9)
    assert np.isfinite(ends_of([twice])).all()


def test_few_of_a_large_study_are_taken_evenly_and_in_any_order():
    many = list(study_of(range(1, 300)))
    few = evenly(many, 9, of=lambda one: one)
    assert sum(len(one.points) for one in few) <= earlier.MOST_OBSERVED
    assert evenly(many[::-1], 9, of=lambda one: one) == few
    assert {one.params for one in few} & {one.params for one in many[-10:]}


def test_levels_lie_where_the_space_has_them_or_beyond():
    assert [placed(level, ["8", "16", "64"]) for level in ("8", "16", "40", "64", "128", "4", "wide")] == pytest.approx(
        [0, 0.5, 0.75, 1, 1.5, -0.5, math.nan], nan_ok=True
    )
    assert placed("b", ["a", "b"]) == 1
    assert placed("c", ["a", "b"]) == placed("c", ["a", "b"]) not in (0, 1, placed("d", ["a", "b"]))


def test_levels_of_a_study_have_the_features_of_the_same_levels_here():
    factors = {
        "model.width": [8, 16, 24],
        "model.block": ["plain", "bottleneck"],
        "model.stages": {"low": 2, "high": 5},
        "protocol.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
    }
    encoding = Encoding(Space(name="s", question="?", design="random", samples=3, factors=factors))
    params = {"model.width": 24, "model.block": "bottleneck", "model.stages": 3, "protocol.learning_rate": 2e-3}
    levels = {name: str(value) for name, value in params.items()}
    assert encoding.place(levels) == encoding.row(params, (10, 10))[:4]
    assert encoding.place({"model.width": "32"}) == pytest.approx([1.5, *[math.nan] * 3], nan_ok=True)


# In a study ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def old(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("earlier") / "old"
    with zipfile.ZipFile(ASSETS / "schema-3.zip") as packed:
        packed.extractall(folder)
    return folder


def test_a_study_is_read_by_its_levels_and_the_means_of_its_seeds(old):
    study, (first, second) = Study.open(old), read_earlier(old, ["model.width", "model.stages"])
    assert (first.levels, second.levels) == ({"model.width": "4"}, {"model.width": "6"})
    of_first = [record for record in study.records().values() if record.params == first.params]
    best = np.mean([record.val_dice for record in of_first])
    assert first.points[-1] == (1.0, pytest.approx(-math.log(1 - best)), 2)
    assert len(of_first) == 2


def test_what_cannot_be_learnt_from_is_one_line(old, tmp_path):
    with pytest.raises(InputError, match=r"its factors \(model\.width\) are none of this space's \(model\.block\)"):
        read_earlier(old, ["model.block"])
    with pytest.raises(InputError, match="nowhere"):
        read_earlier(tmp_path / "nowhere", ["model.width"])
    study = Study.open_or_new(tmp_path / "new")
    with study.writing():
        search(study, ())
        study.plan(Study.open(old).manifest.runs[0], threads=1, data_dir=None)
    with pytest.raises(InputError, match="no trial of it is complete"):
        read_earlier(tmp_path / "new", ["model.width"])
    with pytest.raises(InputError, match="it is --search that learns"):
        Request(space="baselines", learn_from=(old,)).check()


def search(study: Study, learn_from) -> None:
    """Make a search, which writes down what it learns."""
    space = {
        "name": "widths", "question": "?", "design": "grid", "factors": {"model.width": [2, 4, 6]},
        "base": {"model": {"name": "unet", "stages": 2}, "data": {"name": "phantom", "count": 15, "size": [32, 32]}},
    }  # fmt: skip
    found = basis(space, None, None, "quick", 1, None, {})
    planner = Planner(found.space, found.profile, dataset_of=found.dataset_of, **found.arguments)
    make_thaw_queue(
        study, planner, Asked(0, None, 1, learn_from=learn_from), Place("quick", 1, None, None),
        times=Times(this_machine()), bar_of=lambda trials: 0.1, budget_of=lambda trials: Budget(),
        proposed=lambda trials: None,
    )  # fmt: skip


def test_a_search_remembers_what_it_learnt_where_the_study_is_gone(old, tmp_path):
    gone = tmp_path / "gone" / "old"
    shutil.copytree(old, gone)
    study = Study.open_or_new(tmp_path / "study")
    with study.writing():
        search(study, (gone,))
        (file,) = (study.path / "searches").iterdir()
        before = file.read_bytes()
        shutil.rmtree(gone)
        search(study, (gone,))
    (learnt,) = read_events(file)
    assert file.read_bytes() == before
    assert isinstance(learnt, Learnt)
    assert learnt.studies == {"old": read_earlier(old, ["model.width"])}
    with study.writing(), pytest.raises(InputError):
        search(study, (tmp_path / "other",))
    assert len(list((study.path / "searches").iterdir())) == 1
