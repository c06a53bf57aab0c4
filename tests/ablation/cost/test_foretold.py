"""Seconds of epochs: what is foretold from shapes, held against what was measured; and what a machine teaches."""

from __future__ import annotations

import sys

import pytest
from monai.data.utils import dense_patch_slices
from monai.inferers.utils import _get_scan_interval
from scipy.stats import spearmanr

from ablate.cost import layer_times
from ablate.cost.counted import cost
from ablate.cost.foretold import Images, Timed, _an_image, epoch_images, foretell, windows
from ablate.cost.layer_times import layer_nanoseconds
from ablate.cost.layers import Layer
from ablate.cost.machine import Machine
from ablate.data.settings import Phantom
from ablate.models.network import network
from ablate.models.settings import PyConvUNet, UNet
from ablate.part import MADE_BY, DataPart, Part
from ablate.trial import Protocol, TrialConfig

HERE = Machine("cpu", "AMD EPYC")


DATA = DataPart.of(Phantom(size=(96, 96), fingerprint="0" * 12))
EPOCH = Images(36, 12)


def trial(model: object = None, data: DataPart = DATA, **fields: object) -> TrialConfig:
    return TrialConfig(model=model or UNet(), data=data, **fields)


def seconds(one: TrialConfig, images: Images = EPOCH, machine: Machine = HERE, macs: int = 10**9) -> float:
    return foretell(one, 10**6, macs, images, machine).seconds


LEVELS = {
    "1": ([3], [1]), "2": ([3, 5], [1, 4]), "3": ([3, 5, 7], [1, 4, 8]), "4": ([3, 5, 7, 9], [1, 4, 8, 16]),
    "3-3-3-3": ([3, 3, 3, 3], [1, 4, 8, 16]), "3-3-5-5": ([3, 3, 5, 5], [1, 4, 8, 16]),
    "3-5-5-7": ([3, 5, 5, 7], [1, 4, 8, 16]),
}  # fmt: skip
"""Pyramids: kernels and groups."""
MEASURED = {
    "1": 5.12, "2": 5.06, "3": 5.55, "4": 6.27, "3-3-3-3": 3.54, "3-3-5-5": 4.60, "3-5-5-7": 5.16, "unet": 4.88,
    "unet_plus_plus": 14.08, "resnet34_unet": 3.21, "attention_unet": 25.55, "fcn8s": 7.86,
}  # fmt: skip
"""CPU seconds of an epoch of 36 and 12 images of 96×96 by `benchmarks/foretold.py`: one thread of an AMD EPYC with
AVX-512."""


def test_the_order_of_networks_is_that_of_their_measured_times_and_not_that_of_their_macs(monkeypatch):
    monkeypatch.setattr(layer_times, "lanes", lambda: 16)
    _an_image.cache_clear()
    foretold, macs = [], []
    for name in MEASURED:
        kernels, groups = LEVELS.get(name, ((), ()))
        model = PyConvUNet(kernels=kernels, groups=groups) if kernels else network(name)
        price = cost(model, 1, 1, (96, 96))
        one = foretell(trial(model), price.params, price.macs, EPOCH, HERE)
        assert one.by_layers
        foretold.append(one.seconds)
        macs.append(price.macs)
    _an_image.cache_clear()
    measured = list(MEASURED.values())
    assert spearmanr(foretold, measured).statistic > 0.95 > 0.9 > spearmanr(macs, measured).statistic
    assert all(1 / 1.3 < m / f < 1.3 for m, f in zip(measured, foretold, strict=True))


def test_epochs_take_as_many_times_longer_as_they_have_more_images_and_validation_is_the_cheaper_part():
    one = trial()
    trained, judged = seconds(one, Images(1, 0)), seconds(one, Images(0, 1))
    assert seconds(one, Images(36, 12)) == pytest.approx(36 * trained + 12 * judged)
    assert 0.2 * trained < judged < 0.5 * trained


def test_more_threads_and_processes_shorten_an_epoch_but_not_by_more_than_they_are():
    alone = seconds(trial())
    assert alone / 2 < seconds(trial(), machine=Machine("cpu", "AMD EPYC", threads=2)) < alone / 1.5
    assert seconds(trial(), machine=Machine("cpu", "AMD EPYC", workers=2)) == pytest.approx(alone / 2)


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_where_kernels_are_not_known_macs_are_all_there_is(device):
    machine = Machine(device, "a chip")
    foretold = foretell(trial(), 10**6, 10**9, Images(10, 0), machine)
    assert not foretold.by_layers
    assert seconds(trial(), machine=machine, macs=2 * 10**9) == pytest.approx(2 * seconds(trial(), machine=machine))


def test_a_network_of_others_is_foretold_by_macs_and_not_imported(tmp_path, monkeypatch):
    (tmp_path / "unseen_nets.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    one = trial(Part({"name": "unseen_nets:Net", MADE_BY: "code 0123456789ab"}))
    assert one.model.made_by
    foretold = foretell(one, 10**6, 10**9, Images(10, 0), HERE)
    assert foretold.seconds > 0
    assert not foretold.by_layers
    assert "unseen_nets" not in sys.modules


def test_a_group_of_one_channel_takes_many_times_a_full_ones_time_where_nothing_rewrites_it(monkeypatch):
    """By stride 2, for which there is one way alone: 3.4 against 47 MACs a nanosecond."""
    grouped = Layer("conv", 64, 64, 9, 64, 2, 64, 64)
    plain = Layer("conv", 64, 64, 9, 1, 2, 64, 64)
    times = [layer_nanoseconds(layer, 5).training / layer.macs for layer in (grouped, plain)]
    assert 8 < times[0] / times[1] < 20


def test_windows_are_as_many_as_are_predicted():
    size, overlap = (64, 48), 0.25
    for own in ((64, 48), (65, 48), (200, 300), (30, 500), (111, 97)):
        whole = tuple(max(pair) for pair in zip(own, size, strict=True))
        interval = _get_scan_interval(whole, size, 2, (overlap, overlap))
        assert windows(own, size, overlap) == len(dense_patch_slices(whole, size, interval)), own


def test_an_epoch_has_patches_of_each_image_and_validates_its_windows():
    protocol = Protocol(patches_per_image=4, window_overlap=0.5)
    cut = trial(data=DATA.but(fit="patches"), protocol=protocol)
    assert epoch_images(cut, [0, 1], [2], ((96, 96), (96, 96), (96, 192))) == Images(8, 3)
    assert epoch_images(trial(), range(36), range(12), ()) == Images(36, 12)


# Learning ------------------------------------------------------------------------------------------------------------


def test_what_was_timed_teaches_its_own_cell_most_then_its_network_then_the_rest():
    def foretold(model: object, seed: int = 0):
        return foretell(trial(model, seed=seed), 10**6, 10**9, Images(36, 12), HERE)

    known, narrow, wide, other = Timed(), UNet(width=8), UNet(width=16), network("fcn8s")
    for model in (narrow, wide, other):
        assert known.seconds(foretold(model)) == foretold(model).seconds
    assert not known
    known.see(foretold(narrow), 3 * foretold(narrow).seconds)
    assert known
    assert known.seconds(foretold(other)) == pytest.approx(3 * foretold(other).seconds)
    for ratio in (5, 5, 5):
        known.see(foretold(wide), ratio * foretold(wide).seconds)
    known.see(foretold(other), 0.5 * foretold(other).seconds)
    known.see(foretold(other), 0.5 * foretold(other).seconds)
    assert known.seconds(foretold(narrow, seed=7)) == pytest.approx(3 * foretold(narrow).seconds)
    assert known.seconds(foretold(UNet(width=12))) == pytest.approx(5 * foretold(UNet(width=12)).seconds)
    assert known.seconds(foretold(network("unet_plus_plus"))) == pytest.approx(
        4 * foretold(network("unet_plus_plus")).seconds
    )


def test_an_epoch_with_a_noisy_neighbour_does_not_mislead_and_one_of_no_time_teaches_nothing():
    known, one = Timed(), foretell(trial(), 10**6, 10**9, Images(36, 12), HERE)
    known.see(one, 0.0)
    assert not known
    for ratio in (2, 2, 50):
        known.see(one, ratio * one.seconds)
    assert known.seconds(one) == pytest.approx(2 * one.seconds)
