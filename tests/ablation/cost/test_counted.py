"""Costs against the paper's Table 3, closed forms, and the promise that they are quick and need no memory."""

from __future__ import annotations

import pytest

from ablate.cost.counted import Cost, _priced, cost
from ablate.errors import InputError
from ablate.models.network import network
from ablate.models.settings import PyConvUNet, UNet

TABLE_3 = {
    "unet": (7.77, 48.57),
    "unet_plus_plus": (9.16, 138.63),
    "resnet34_unet": (21.66, 24.27),
    "attention_unet": (34.88, 266.54),
    "fcn8s": (18.64, 85.86),
}


@pytest.mark.parametrize("name", TABLE_3)
def test_costs_are_table_3(name):
    params, macs = cost(network(name), 3, 1, (512, 512))
    assert (round(params / 1e6, 2), round(macs / 1e9, 2)) == TABLE_3[name]


def test_costs_are_exact_integers():
    assert cost(network("unet"), 3, 1, (512, 512)) == Cost(params=7_765_985, macs=48_572_399_616)


@pytest.mark.parametrize(
    ("fields", "params", "macs"),
    [
        ({}, 5.4, 33.0),
        ({"block": "bottleneck"}, 4.10, 22.2),
        ({"block": "bottleneck", "blocks": 2}, 7.59, 42.0),
    ],
)
def test_pyconvunet_costs_are_the_readings_of_the_paper(fields, params, macs):
    """The readings were measured on other code, whose layers had biases in places; they agree to 0.6 %."""
    found = cost(PyConvUNet(**fields), 3, 1, (512, 512))
    assert found.params / 1e6 == pytest.approx(params, rel=0.003)
    assert found.macs / 1e9 == pytest.approx(macs, rel=0.006)


def test_plain_pyconvunet_is_the_closed_form():
    def pyramid(inputs: int, outputs: int) -> float:
        return 5.96875 * inputs * outputs  # 9/1/8 + 25/4/8 + 49/8/4 + 81/16/2

    widths = [32, 64, 128, 256, 512]
    expected = 9 * 1 * 32 + pyramid(32, 32) + sum(pyramid(w // 2, w) + pyramid(w, w) for w in widths[1:])
    expected += sum(pyramid(2 * w, w) + pyramid(w, w) + 4 * 2 * w * w + w for w in widths[:-1])
    expected += sum(4 * w for w in widths + widths[:-1]) + 32 + 1
    assert cost(PyConvUNet(), 1, 1, (64, 64)).params == expected


def test_macs_grow_with_the_area_and_parameters_do_not():
    small, large = (cost(network("unet"), 1, 1, size) for size in ((32, 64), (64, 128)))
    assert large == (small.params, 4 * small.macs)


def test_classes_and_channels_are_counted():
    one, many = cost(UNet(), 1, 1, (32, 32)), cost(UNet(), 3, 4, (32, 32))
    assert many.params - one.params == 2 * 9 * 32 + 3 * (32 + 1)
    assert many.macs - one.macs == (many.params - one.params) * 32 * 32


def test_a_network_larger_than_memory_is_priced():
    assert cost(UNet(width=2048), 3, 1, (512, 512)).params > 30e9


@pytest.mark.parametrize("name", [*TABLE_3, "pyconvunet"])
def test_a_network_is_priced_once(name):
    config = network(name)
    cost(config, 3, 1, (512, 512))
    hits = _priced.cache_info().hits
    assert cost(network(name), 3, 1, (512, 512)) == cost(config, 3, 1, (512, 512))
    assert _priced.cache_info().hits == hits + 2


def test_nothing_is_printed(capsys):
    _priced.__wrapped__(UNet(width=2), 1, 1, (16, 16))
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_what_cannot_be_built_has_no_cost():
    with pytest.raises(InputError, match=r"^unet needs .* multiples of 16, not 100x100: use 96x96 or 112x112$"):
        cost(UNet(), 3, 1, (100, 100))
    with pytest.raises(InputError, match=r"^pyconvunet, stage 1: PyConv level 2 \(kernel 5\): groups 4 do not divide"):
        cost(PyConvUNet(width=8), 3, 1, (64, 64))
