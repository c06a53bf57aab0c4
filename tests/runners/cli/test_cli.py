"""The command line: help, JSON, and bad input as one line with exit code 2 and nothing written."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from commands import ABLATE, SPACE
from PIL import Image

from ablate.runners.cli import main as cli

COMMANDS = [
    *("spaces", "datasets", "plan", "cost", "run", "status", "export", "pareto", "report"),
    *("measure", "effects", "claim", "table", "compare", "paper", "predict"),
]


class Printed(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Callable[..., Printed]]:
    """Runs a command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Printed:
        monkeypatch.setattr("sys.argv", ["ablate", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        return Printed(int(end.value.code or 0), out, err)

    interrupts = signal.getsignal(signal.SIGINT)
    yield call
    signal.signal(signal.SIGINT, interrupts)  # a command that has ended leaves none to the interpreter


def test_help_lists_every_command_and_imports_nothing_heavy():
    shown = subprocess.run([ABLATE, "--help"], capture_output=True, text=True, check=True).stdout
    assert all(re.search(rf"^  {command} ", shown, re.MULTILINE) for command in COMMANDS)
    code = """
import sys
from ablate.runners.cli.main import ablate
ablate.main(["--help"], standalone_mode=False)
heavy = {"torch", "ray", "optuna", "pandas", "numpy", "plotly", "pydantic", "rich"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(call, command):
    shown = call(command, "--help")
    assert shown.code == 0
    assert re.search(rf"Examples?:\n +ablate {command}", shown.out)
    assert max(map(len, shown.out.splitlines())) <= 80


def test_commands_fit_eighty_columns(call):
    for arguments in (["spaces"], ["datasets"], ["plan", "--space", "baselines"], ["cost", "--space", "baselines"]):
        shown = call(*arguments)
        assert shown.code == 0
        assert max(map(len, shown.out.splitlines())) <= 80
        assert "\x1b" not in shown.out


def test_json_is_one_document_and_nothing_else(call):
    spaces = json.loads(call("spaces", "--json").out)
    assert {"pyramid_levels", "baselines"} <= {space["name"] for space in spaces}
    assert "mni152" in {data["name"] for data in json.loads(call("datasets", "--json").out)}
    plan = json.loads(call("plan", "--space", "pyramid_levels", "--seeds", 2, "--json").out)
    assert len(plan["trials"]) == 10
    assert set(plan["trials"][0]) == {"key", "cell", "seed", "fold", "params", "macs", "seconds", "levels"}
    assert plan["rejected"] == []
    assert set(plan["machine"]) == {"name", "trials_at_a_time", "was_measured"}
    assert not plan["machine"]["was_measured"]
    every = sum(trial["seconds"] for trial in plan["trials"])
    least = every / plan["machine"]["trials_at_a_time"]
    assert least * (1 - 1e-9) <= plan["seconds"] <= every * (1 + 1e-9)  # summed in another order
    text = call("plan", "--space", "pyramid_levels", "--seeds", 2).out
    assert f"{plan['machine']['name']}, not measured yet" in " ".join(text.split())


def test_cost_agrees_with_table_3_to_the_printed_decimals(call):
    rows = {row["model"]: row for row in json.loads(call("cost", "--space", "baselines", "--json").out)}
    published = {
        "unet": (7.77, 48.57),
        "unet_plus_plus": (9.16, 138.63),
        "resnet34_unet": (21.66, 24.27),
        "attention_unet": (34.88, 266.54),
        "fcn8s": (18.64, 85.86),
    }
    for model, (params, macs) in published.items():
        assert (round(rows[model]["params"] / 1e6, 2), round(rows[model]["macs"] / 1e9, 2)) == (params, macs)
        assert rows[model]["input"] == "3x512x512"
    text = call("cost", "--space", "baselines", "--input", "3x512x512").out
    assert re.search(r"pyconvunet +5\.39 +33\.05 +3\.70 \* +10\.65 \*", text)
    assert "not reproducible" in text


def test_cost_of_one_network_with_a_field_set(call):
    (row,) = json.loads(call("cost", "--model", "unet", "--set", "model.width=16", "--input", "1x64x64", "--json").out)
    assert row["model"] == "unet"
    assert row["params"] < 7.77e6 / 3.5


def test_a_plan_says_what_it_rejects_and_plans_the_rest(call, tmp_path):
    (tmp_path / "mine.yaml").write_text(SPACE.replace("name: unet", "name: pyconvunet").replace("[4, 8]", "[8, 32]"))
    plan = json.loads(call("plan", "--space", "mine.yaml", "--json").out)
    assert [trial["levels"] for trial in plan["trials"]] == [{"model.width": "32"}]
    assert plan["rejected"][0]["levels"] == {"model.width": "8"}
    assert "PyConv level 2 (kernel 5): groups 4 do not divide its 1 output channels" in plan["rejected"][0]["reason"]
    assert "rejected width=8: " in call("plan", "--space", "mine.yaml").out


# Bad input -----------------------------------------------------------------------------------------------------------


def write_space(folder: Path, old: str = "", new: str = "") -> None:
    (folder / "mine.yaml").write_text(SPACE.replace(old, new))


def write_images(
    folder: Path, count: int = 10, size: tuple[int, int] = (32, 32), values: tuple[int, ...] = (0, 255)
) -> None:
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / "data" / name).mkdir(parents=True, exist_ok=True)
    for i in range(count):
        Image.fromarray(rng.integers(0, 255, size).astype(np.uint8)).save(folder / f"data/images/{i}.png")
        mask = rng.choice(np.array(values, dtype=np.uint8), size)
        mask.ravel()[: len(values)] = values
        Image.fromarray(mask).save(folder / f"data/masks/{i}.png")


FOLDER = ("run", "--space", "mine.yaml", "--data", "folder", "--data-dir", "data")
MINE = ("run", "--space", "mine.yaml")


def remove_a_mask(folder: Path) -> None:
    write_images(folder)
    (folder / "data/masks/3.png").unlink()


def shrink_a_mask(folder: Path) -> None:
    write_images(folder)
    Image.fromarray(np.zeros((16, 32), dtype=np.uint8)).save(folder / "data/masks/3.png")


def truncate_an_image(folder: Path) -> None:
    write_images(folder)
    (folder / "data/images/3.png").write_bytes(b"\x89PNG\r\n")


def empty_an_image(folder: Path) -> None:
    write_images(folder)
    (folder / "data/images/3.png").write_bytes(b"")


def newer_study(folder: Path) -> None:
    write_space(folder)
    (folder / "s").mkdir()
    (folder / "s/study.yaml").write_text("schema_version: 99\n")


def a_file(folder: Path) -> None:
    write_space(folder)
    (folder / "file").write_text("x")


BAD = {
    "unknown space": (None, ("run", "--space", "pyramid_level"), "unknown space 'pyramid_level': did you mean"),
    "unknown data set": (None, ("run", "--space", "baselines", "--data", "isbi"), "unknown data set 'isbi'"),
    "unknown model": (None, ("cost", "--model", "unett"), "unknown model 'unett': did you mean 'unet'"),
    "unknown profile": (None, ("run", "--space", "baselines", "--profile", "fast"), "unknown profile 'fast'"),
    "unknown command": (None, ("runn",), "unknown command 'runn': did you mean 'run'"),
    "unknown option": (None, ("run", "--spcae", "x"), "No such option"),
    "YAML slip": (lambda f: write_space(f, "design: grid", "design: [grid"), MINE, "mine.yaml, line "),
    "unknown field": (lambda f: write_space(f, "stages: 3", "stagse: 3"), MINE, "there is no field 'stagse'"),
    "groups that do not divide": (
        lambda f: write_space(f, "name: unet", "name: pyconvunet"),
        ("plan", "--space", "mine.yaml"),
        "PyConv level 1|PyConv level 2 (kernel 5)",
    ),
    "an input that pooling cannot halve": (
        write_space,
        (*MINE, "--set", "data.size=[34, 34]"),
        "multiples of 4, not 34x34: use 32x32 or 36x36",
    ),
    "an input to price that pooling cannot halve": (
        None,
        ("cost", "--model", "fcn8s", "--input", "3x100x100"),
        "multiples of 32, not 100x100",
    ),
    "an input that is no size": (None, ("cost", "--model", "unet", "--input", "512"), "channels x height x width"),
    "an input of more digits than a size has": (
        None,
        ("cost", "--model", "unet", "--input", f"3x{'9' * 5000}x32"),
        "channels x height x width",
    ),
    "an input in other digits": (None, ("cost", "--model", "unet", "--input", "٣x٤x٥"), "channels x height x width"),
    "more resamples than memory": (None, ("pareto", "s", "--resamples", 10**9), "--resamples"),
    "more passes than a life": (None, ("measure", "s", "--repeats", 10**12), "--repeats"),
    "more simulations than a life": (None, ("replay", "s", "--repeats", 10**9), "--repeats"),
    "no metric": (None, ("table", "s", "--metrics", ""), "unknown metric ''"),
    "a study that is a ring of links": (
        lambda f: (f / "s").symlink_to("s"),
        ("compare", "s"),
        "Symlink loop|Too many levels of symbolic links|is not a study",
    ),
    "a study of too long a name": (None, ("status", "x" * 5000), "is not a study|File name too long"),
    "a study that is a device": (None, ("verify", "/dev/zero"), "is not a study"),
    "a setting without a value": (write_space, (*MINE, "--set", "model.stages"), "then =value"),
    "a setting of the varied field": (write_space, (*MINE, "--set", "model.width=4"), "varies this field itself"),
    "no data folder": (write_space, (*FOLDER[:-2],), "--data-dir"),
    "a data folder that is not there": (write_space, FOLDER, "data"),
    "images without masks": (lambda f: (write_space(f), remove_a_mask(f)), FOLDER, "3"),
    "a mask of another size": (lambda f: (write_space(f), shrink_a_mask(f)), FOLDER, "3.png"),
    "an unreadable image": (lambda f: (write_space(f), truncate_an_image(f)), FOLDER, "3.png"),
    "an empty image": (lambda f: (write_space(f), empty_an_image(f)), FOLDER, "3.png' is empty"),
    "more values than classes": (
        lambda f: (write_space(f), write_images(f, values=(0, 100, 255))),
        FOLDER,
        "data.n_classes=3",
    ),
    "too few images": (lambda f: (write_space(f), write_images(f, count=2)), FOLDER, "too few images for the split"),
    "a study that is a file": (a_file, (*MINE, "--study", "file"), "neither a study nor an empty directory"),
    "a study below a file": (a_file, (*MINE, "--study", "file/study"), "'file/study' cannot be written"),
    "a study of a newer schema": (newer_study, (*MINE, "--study", "s"), "schema 99, this ablate knows 4"),
    "more CPUs than there are": (write_space, (*MINE, "--cpus-per-trial", 5000), "--cpus-per-trial 5000: this"),
    "a GPU where there is none": (write_space, (*MINE, "--gpus-per-trial", 1), "--gpus-per-trial 1: "),
    "no study": (None, ("status", "nowhere"), "'nowhere' is not a study"),
    "no study to export": (None, ("export", "nowhere", "--table", "trials"), "'nowhere' is not a study"),
    "no such table": (None, ("export", "nowhere", "--table", "cells"), "'cells' is not one of"),
}  # fmt: skip


def listing(folder: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_writes_nothing(call, tmp_path, case):
    prepare, arguments, expected = BAD[case]
    if prepare:
        prepare(tmp_path)
    before = listing(tmp_path)
    printed = call(*arguments)
    assert printed.code == 2
    assert printed.out == ""
    assert printed.err.startswith("ablate: ")
    assert printed.err.count("\n") == 1
    assert any(part in printed.err for part in expected.split("|"))
    assert "Traceback" not in printed.err
    assert listing(tmp_path) == before
