"""The user's own modules: what counts of them, what runs, and what is refused."""

from __future__ import annotations

import inspect
import pickle
import sys
from pathlib import Path

import pytest

from ablate.data.load import source_of
from ablate.errors import InputError, PartError
from ablate.kinds import KINDS, make
from ablate.models.network import network
from ablate.modules import code_from, fingerprint_on_path, named, whereabouts
from ablate.part import MADE_BY, DataPart
from ablate.user_code import UserCode

NETS = '''"""Networks of mine."""

from torch import nn

import ablate
from layers import conv


class Small(ablate.Network):
    """A small one."""

    width: int = 4

    def build(self, in_channels, classes):
        hidden = self.width  # as wide as asked
        return nn.Sequential(conv(in_channels, hidden), nn.ReLU(), conv(hidden, classes))


def plain(in_channels, classes, width=4):
    return nn.Sequential(conv(in_channels, width), nn.ReLU(), conv(width, classes))
'''
LAYERS = '''from torch import nn


def conv(inputs, outputs):
    """A convolution."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "layers.py").write_text(LAYERS)
    return tmp_path


def key(folder: Path, name: str = "nets:Small", **settings: object) -> str:
    with code_from(folder):
        return network(name, **settings).text


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("nets.py", "# as wide as asked", "# quite as wide"),
        ("nets.py", "Networks of mine", "My networks, `hiden` renamed"),
        ("nets.py", "hidden = self.width", "hidden = (\n            self.width\n        )"),
        ("layers.py", "A convolution.", "The convolution."),
        ("layers.py", "\n\n\ndef", "\n\n\n\n# of 3x3\ndef"),
    ],
)
def test_layout_comments_and_docstrings_do_not_count(folder, file, before, after):
    first = key(folder)
    text = (folder / file).read_text()
    assert before in text
    (folder / file).write_text(text.replace(before, after))
    assert key(folder) == first


@pytest.mark.parametrize(
    ("file", "before", "after", "changed"),
    [
        ("nets.py", "nn.ReLU()", "nn.ELU()", {"nets:Small", "nets:plain"}),
        ("nets.py", "width: int = 4", "width: int = 5", {"nets:Small"}),
        ("layers.py", "padding=1", "padding=1, bias=False", {"nets:Small", "nets:plain"}),
        ("layers.py", "inputs, outputs, 3", "inputs, outputs, 3, 1", {"nets:Small", "nets:plain"}),
    ],
)
def test_whatever_runs_counts_also_in_a_helper(folder, file, before, after, changed):
    first = {name: key(folder, name) for name in ("nets:Small", "nets:plain")}
    (folder / file).write_text((folder / file).read_text().replace(before, after))
    assert {name for name, text in first.items() if key(folder, name) != text} == changed


def test_a_module_that_is_not_imported_does_not_count(folder):
    first = key(folder)
    (folder / "other.py").write_text("x = 1\n")
    assert key(folder) == first


def test_packages_relative_imports_and_what_is_imported_late_count(tmp_path):
    package = tmp_path / "mine"
    (package / "deep").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "deep" / "__init__.py").write_text("from ..base import conv\n")
    (package / "base.py").write_text(LAYERS)
    (package / "late.py").write_text("SCALE = 1\n")
    (package / "nets.py").write_text(
        "def net(in_channels, classes):\n    from .late import SCALE\n    from mine.deep import conv\n"
        "    return conv(in_channels, classes * SCALE)\n"
    )
    first = key(tmp_path, "mine.nets:net")
    found = {first}
    for file, text in (
        ("late.py", "SCALE = 2 - 1\n"),
        ("base.py", LAYERS.replace("3, p", "3, 1, p")),
        ("__init__.py", "x = 1\n"),
    ):
        (package / file).write_text(text)
        found.add(key(tmp_path, "mine.nets:net"))
    assert len(found) == 4
    with code_from(tmp_path):
        made = make(KINDS["network"], network("mine.nets:net")).build(1, 2)
    assert made.weight.shape == (2, 1, 3, 3)


def test_what_was_read_is_what_runs(folder):
    """A file that is changed while trials wait is not what they train: they have the key of what was read."""
    with code_from(folder):
        part = network("nets:Small")
        (folder / "layers.py").write_text(LAYERS.replace("3, padding=1", "1"))
        assert make(KINDS["network"], part).build(1, 1)[0].kernel_size == (3, 3)
    with code_from(folder):
        again = network("nets:Small")
        assert again != part
        assert make(KINDS["network"], again).build(1, 1)[0].kernel_size == (1, 1)
        with pytest.raises(InputError, match=r"nets:Small is code \w+ here, and this trial's is code \w+"):
            make(KINDS["network"], part)


def test_it_travels_without_its_folder(folder):
    with code_from(folder) as code:
        part = network("nets:Small", width=8)
    sent = pickle.loads(pickle.dumps(code))
    for file in folder.iterdir():
        file.unlink()
    with code_from(sent):
        assert make(KINDS["network"], part).build(1, 1)[0].out_channels == 8
        with pytest.raises(PartError, match="no module gone"):
            network("gone:Net")


def test_another_source_of_a_name_is_told_on_a_path(folder, tmp_path_factory, monkeypatch):
    elsewhere = tmp_path_factory.mktemp("site")
    (elsewhere / "nets.py").write_text(NETS.replace("ReLU", "ELU"))
    (elsewhere / "layers.py").write_text(LAYERS)
    assert fingerprint_on_path("nets") == ""
    monkeypatch.syspath_prepend(str(elsewhere))
    assert fingerprint_on_path("nets") not in ("", UserCode([folder]).fingerprint("nets"))
    assert fingerprint_on_path("layers") == UserCode([folder]).fingerprint("layers")


def test_on_python_s_path_but_not_installed_it_is_the_user_s_own(folder, monkeypatch):
    beside = key(folder)
    monkeypatch.syspath_prepend(str(folder))
    with code_from(None):
        assert network("nets:Small").text == beside


def test_a_library_s_function_gives_a_network_only_if_it_says_so(folder):
    (folder / "wrap.py").write_text(
        "import torch\n\ndef net(in_channels, classes):\n    return torch.nn.Conv2d(1, 1, 1)\n"
    )
    with code_from(folder):
        make(KINDS["network"], network("wrap:net")).build(1, 1)
        for name in ("torch.hub:load", "torch:load", "pandas:read_pickle"):
            with pytest.raises(PartError, match="call it in a function of your own"):
                make(KINDS["network"], network(name))


TWO = """
import torch
from torch import nn

WIDTH = 4
SCALE = 2.0


class Base(nn.Module):
    def forward(self, x):
        return self.layer(x) * SCALE


class One(Base):
    def __init__(self, in_channels, classes):
        super().__init__()
        self.layer = nn.Conv2d(in_channels, classes, 3, padding=1)


class Other(Base):
    def __init__(self, in_channels, classes, width=WIDTH):
        super().__init__()
        self.layer = nn.Sequential(nn.Conv2d(in_channels, width, 1), block(width, classes))


def block(inputs, outputs):
    return nn.Conv2d(inputs, outputs, 1)
"""


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ("3, padding=1", "5, padding=2", {"One"}),
        ("inputs, outputs, 1", "inputs, outputs, 3, padding=1", {"Other"}),
        ("WIDTH = 4", "WIDTH = 8", {"Other"}),
        ("SCALE = 2.0", "SCALE = 3.0", {"One", "Other"}),
        ("self.layer(x)", "self.layer(-x)", {"One", "Other"}),
        ("import torch\n", "import torch\ntorch.manual_seed(1)\n", {"One", "Other"}),
        ("import torch\n", "import torch\nUNUSED = [1, 2]\n\n\ndef unused():\n    return One\n", set()),
        ("WIDTH = 4", "WIDTH = int(4)", {"One", "Other"}),  # it runs, and might do anything
        ("class Other(Base):", "@torch.no_grad\nclass Other(Base):", {"One", "Other"}),
        ("class Other(Base):", "class Other(Base, metaclass=type):", {"One", "Other"}),
        ("WIDTH = 4", "WIDTH = 4\nOne.extra = 5", {"One", "Other"}),
        ("def block", "def all_of_them():\n    return globals()\n\n\ndef block", {"One", "Other"}),
    ],
)
def test_of_two_networks_in_one_file_only_what_decides_one_counts(tmp_path, before, after, changed):
    file = tmp_path / "two.py"
    file.write_text(TWO)
    first = {name: UserCode([tmp_path]).fingerprint("two", name) for name in ("One", "Other")}
    assert before in TWO
    file.write_text(TWO.replace(before, after))
    now = {name: UserCode([tmp_path]).fingerprint("two", name) for name in first}
    assert {name for name in first if now[name] != first[name]} == changed


def test_a_module_that_looks_at_itself_counts_whole(tmp_path):
    file = tmp_path / "two.py"
    for how in ("globals()", "Base.__subclasses__()", "__import__('two')", "vars(nn)", "sys.modules[__name__]"):
        file.write_text(f"{TWO}\n\ndef look():\n    return {how}\n")
        first = UserCode([tmp_path]).fingerprint("two", "One")
        file.write_text(file.read_text().replace("inputs, outputs, 1", "inputs, outputs, 3"))
        assert UserCode([tmp_path]).fingerprint("two", "One") != first, how


def test_a_text_that_is_a_name_refers_to_it(tmp_path):
    """As a field's annotation in quotes does, or getattr."""
    file = tmp_path / "two.py"
    text = "class One:\n    inner: 'Other'\n\n\nclass Other:\n    size = 3\n"
    file.write_text(text)
    first = UserCode([tmp_path]).fingerprint("two", "One")
    file.write_text(text.replace("size = 3", "size = 4"))
    assert UserCode([tmp_path]).fingerprint("two", "One") != first


# What is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["os:system", "builtins:eval", "subprocess:run", "importlib:import_module", "torch:os.system", "nets:nn.sys.exit",
     "__main__:main", "sys:exit"],
)  # fmt: skip
def test_python_itself_is_no_part(folder, name):
    with code_from(folder), pytest.raises(PartError, match=r"of Python itself|unknown network"):
        network(name)


@pytest.mark.parametrize("below", ["", "trials/x"])
def test_code_inside_a_study_is_never_run(tmp_path, below):
    (tmp_path / "study.yaml").write_text("")
    inside = tmp_path / below
    inside.mkdir(parents=True, exist_ok=True)
    (inside / "evil.py").write_text(f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\n")
    (tmp_path.parent / "linked").mkdir(exist_ok=True)
    link = tmp_path.parent / "linked" / "evil.py"
    link.unlink(missing_ok=True)
    link.symlink_to(inside / "evil.py")
    for folder in (inside, link.parent):
        with code_from(folder), pytest.raises(PartError, match=r"inside the study .* never run"):
            network("evil:Net")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "import nothing_such\n",
            r"module nets does not import: ModuleNotFoundError: .*nothing_such.*nets\.py, line 1",
        ),
        ("x = 1 / 0\n", r"ZeroDivisionError: division by zero \(.*nets\.py, line 1\)"),
        ("def f(:\n", r"nets\.py', line 1: invalid syntax"),
        ("Small = 5\n", "is 5: expected a class, or a function"),
        ("class Smal: ...\n", "did you mean 'Smal'"),
        ("\0", "null byte"),
    ],
)
def test_a_module_that_cannot_be_used_is_one_line_with_its_place(tmp_path, text, said):
    (tmp_path / "nets.py").write_text(text)
    with code_from(tmp_path), pytest.raises(PartError, match=said) as caught:
        network("nets:Small")
    assert "\n" not in str(caught.value)


def test_a_name_that_hides_a_library_in_use_is_said(tmp_path):
    (tmp_path / "numpy.py").write_text("")
    (tmp_path / "nets.py").write_text("import numpy\n\ndef net(in_channels, classes): ...\n")
    with code_from(tmp_path), pytest.raises(PartError, match=r"numpy\.py' has the name of a module that is in use"):
        network("nets:net")


def test_where_it_is_from_is_said_without_running_it(tmp_path):
    (tmp_path / "nets.py").write_text(f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\n")
    with code_from(tmp_path):
        assert whereabouts("nets:Net").startswith(f"nets ('{tmp_path}/nets.py', code ")
        assert whereabouts("monai.networks.nets:UNet") == "monai.networks.nets (monai 1.6.1)"
    assert not (tmp_path / "ran").exists()
    assert "nets" not in sys.modules or getattr(sys.modules["nets"], "__file__", "") != str(tmp_path / "nets.py")


def test_a_library_s_part_is_its_distribution_and_version(monkeypatch):
    from ablate import modules

    with code_from(None):
        part = network("monai.networks.nets:BasicUNet", spatial_dims=2, features=[4] * 6)
        assert part.made_by == "monai 1.6.1"
        assert part.settings == {"features": [4] * 6}  # the other is what every trial has
        monkeypatch.setattr(modules, "_distribution", lambda top: "monai 1.7.0")
        assert network("monai.networks.nets:BasicUNet").made_by == "monai 1.7.0"
        with pytest.raises(InputError, match=r"is monai 1\.7\.0 here, and this trial's is monai 1\.6\.1"):
            make(KINDS["network"], part)
    monkeypatch.undo()
    assert named("torch.nn:ReLU", "a part").made_by.startswith("torch 2.")


@pytest.mark.parametrize("name", ["pandas:read_pickle", "torch:load", "torch.hub:load", "yaml:unsafe_load"])
def test_no_function_of_a_library_is_called_for_a_stranger(tmp_path, name):
    """Within a network's settings, or as a data set: whoever sends a study chooses its arguments."""
    evil = {"name": name, next(iter(inspect.signature(named(name, name).target).parameters)): str(tmp_path / "x")}
    with code_from(None):
        with pytest.raises(PartError, match="call it in a function of your own"):
            make(KINDS["network"], network("torch.nn:Identity", given=evil)).build(1, 1)
        recorded = {**evil, "size": [16, 16], "channels": 1, "fingerprint": "", MADE_BY: named(name, name).made_by}
        with pytest.raises(PartError, match="call it in a function of your own"):
            source_of(DataPart(recorded))


def test_a_module_that_ends_the_process_is_said(tmp_path):
    (tmp_path / "nets.py").write_text("raise SystemExit(3)\n")
    with code_from(tmp_path), pytest.raises(PartError, match="does not import: SystemExit"):
        network("nets:Net")
