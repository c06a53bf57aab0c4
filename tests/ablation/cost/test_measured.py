"""Measured latency and memory: what is in a figure, how a study keeps it, and what a user is told."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ablate.analysis.frames import load
from ablate.analysis.measured import disagreements, doubted
from ablate.cost import measured as module
from ablate.cost.measured import Measured, check, measure, peak_memory
from ablate.data.load import load_data
from ablate.data.settings import Phantom
from ablate.errors import InputError, TrialError
from ablate.models.build import build_model
from ablate.models.settings import AttentionUNet, PyConvUNet, UNet
from ablate.study.records import Record
from ablate.study.runs import Run
from ablate.study.study import Study
from ablate.study.trial_folder import pack
from ablate.training.loop import train
from ablate.trial import Protocol, TrialConfig

TINY = UNet(width=4, stages=2)


def activations_mb(config, channels: int, size: tuple[int, int]) -> float:
    """The sum of every layer's output in one forward pass, as if none were ever freed."""
    model, total = build_model(config, channels, 1).eval(), 0

    def add(layer: torch.nn.Module, inputs: object, output: torch.Tensor) -> None:
        nonlocal total
        total += output.numel() * output.element_size()

    for layer in model.modules():
        if not list(layer.children()):
            layer.register_forward_hook(add)
    with torch.inference_mode():
        model(torch.zeros(1, channels, *size))
    return total / 1e6


def made(**changes: object) -> Measured:
    fields = {"latency_ms": 10.0, "latency_iqr_ms": 1.0, "peak_memory_mb": 50.0, "device": "cpu (X, 1 thread)"}
    fields |= {"threads": 1, "channels": 1, "size": (16, 16), "repeats": 5, "precision": "float32", "load": 0.1}
    return Measured(**(fields | {"versions": {"torch": "2"}} | changes))  # type: ignore[arg-type]


def test_a_measurement_says_what_it_is_of():
    found = measure(TINY, 3, 1, (32, 64), repeats=5, seconds=0.5)
    assert (found.channels, found.size, found.input, found.threads) == (3, (32, 64), "3x32x64", 1)
    assert 6 <= found.rounds <= found.repeats
    assert found.latency_low_ms <= found.latency_ms <= found.latency_high_ms
    assert found.latency_cpu_ms > 0
    assert 0 <= found.others <= os.cpu_count()
    assert 0 < found.latency_ms < 1000
    assert 0 <= found.latency_iqr_ms < 1000
    assert found.device.startswith("cpu (")
    assert found.device.endswith(", 1 thread)")
    assert found.precision == "float32"
    assert found.versions["torch"] == torch.__version__


class Alive(TorchDispatchMode):
    """The most bytes of tensors that were referred to at once counted at each operation."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        made = operation(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, (tuple, list)) else [made]:
            storage = tensor.untyped_storage() if isinstance(tensor, torch.Tensor) else None
            if storage is not None and storage._cdata not in self.known:
                self.known.add(storage._cdata)
                self.now += storage.nbytes()
                self.most = max(self.most, self.now)
                weakref.finalize(storage, self.gone, storage._cdata, storage.nbytes())
        return made

    def gone(self, known: int, size: int) -> None:
        self.known.discard(known)
        self.now -= size


def alive_mb(config, size: tuple[int, int]) -> float:
    """Tensors alive at once in a forward pass, its parameters and input among them."""
    with Alive() as alive, torch.inference_mode():
        model = build_model(config, 1, 1).eval().to(memory_format=torch.channels_last)
        images = torch.zeros(1, 1, *size).to(memory_format=torch.channels_last)
        alive.most = 0
        model(images)
    return alive.most / 1e6


@pytest.mark.parametrize("config", [UNet(width=16), AttentionUNet(width=16), PyConvUNet(width=32)])
def test_memory_is_that_of_the_tensors_alive_and_of_the_kernels_code(config):
    """Resident memory as the system has it against a count of tensors: what it grows by with the image to 3 % and 1 MB,
    and at most 22 MB of code beside it."""
    sizes = ((128, 128), (320, 320))
    small, large = (peak_memory(config, 1, 1, size) / 1e6 for size in sizes)
    least, most = (alive_mb(config, size) for size in sizes)
    assert large - small == pytest.approx(most - least, rel=0.03, abs=1)
    assert 0 < small - least < 22


def test_memory_is_parameters_and_the_activations_that_live_at_once():
    """Above parameters and the largest layer's output, below parameters and all outputs, the kernels' own aside."""
    size, config = (512, 512), UNet(width=16, stages=3)
    found = measure(config, 1, 1, size, repeats=5, seconds=0.1).peak_memory_mb
    parameters = sum(weight.numel() for weight in build_model(config, 1, 1).parameters()) * 4 / 1e6
    largest = 32 * 512 * 512 * 4 / 1e6  # the concatenated skip
    assert parameters + largest < found < parameters + activations_mb(config, 1, size) + 20


def test_memory_counts_parameters():
    small, large = (
        measure(UNet(width=w, stages=5), 1, 1, (16, 16), repeats=5, seconds=0.1).peak_memory_mb for w in (8, 48)
    )
    expected = [sum(p.numel() for p in build_model(UNet(width=w, stages=5), 1, 1).parameters()) * 4e-6 for w in (8, 48)]
    assert expected[1] > 60
    # The largest layer's weights are laid out anew by its kernel: up to as much again of that one.
    assert expected[1] - expected[0] - 4 < large - small < 2 * (expected[1] - expected[0])


def test_what_cannot_be_measured_is_an_error_before_any_process_starts(monkeypatch):
    monkeypatch.setattr(module.subprocess, "run", lambda *_, **__: pytest.fail("a process was started"))
    with pytest.raises(InputError, match=r"multiples of 2, not 33x32"):
        measure(TINY, 1, 1, (33, 32))
    with pytest.raises(InputError, match="groups 4 do not divide"):
        measure(PyConvUNet(width=8), 1, 1, (64, 64))
    with pytest.raises(InputError, match=r"^9999 threads: this machine has \d+ cores; give at most that$"):
        measure(TINY, 1, 1, (32, 32), threads=9999)
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="no CUDA GPU"):
            module.choose_device("cuda")


@pytest.mark.parametrize(
    ("code", "stderr", "expected"), [(-9, "", "signal 9"), (1, "Traceback\nMemoryError: 8 GiB", "MemoryError: 8 GiB")]
)
def test_a_process_that_dies_is_one_networks_failure(monkeypatch, code, stderr, expected):
    died = module.subprocess.CompletedProcess([], code, "", stderr)
    monkeypatch.setattr(module.subprocess, "run", lambda *_, **__: died)
    with pytest.raises(TrialError, match=expected):
        measure(TINY, 1, 1, (32, 32))


def test_nothing_is_left_of_a_measurement_whose_process_is_killed():
    code = """
import subprocess
from ablate.cost.measured import measure
from ablate.models.settings import UNet

class Told(subprocess.Popen):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        print(self.pid, flush=True)

subprocess.Popen = Told
measure(UNet(width=4, stages=2), 1, 1, (32, 32), repeats=10_000, seconds=600)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    state = Path(f"/proc/{child}/stat")
    assert state.exists()
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    ends = time.monotonic() + 60
    while state.exists() and state.read_text().split()[2] != "Z" and time.monotonic() < ends:
        time.sleep(0.05)
    assert not state.exists() or state.read_text().split()[2] == "Z"


# In a study ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A study of two networks, one with two seeds."""
    dataset = load_data(Phantom(size=(16, 16), count=10))
    study = Study.open_or_new(tmp_path_factory.mktemp("trained") / "study")
    configs = [
        TrialConfig(model=UNet(width=width, stages=2), data=dataset.config, protocol=Protocol(epochs=1), seed=seed)
        for width, seed in ((2, 0), (4, 0), (4, 1))
    ]
    levels = {trial.key: {"model.width": str(trial.model.width)} for trial in configs}
    run = Run(
        space="w",
        question="?",
        profile="quick",
        design="grid",
        factors={"model.width": []},
        definition={},
        trials=levels,
    )
    with study.writing():
        study.plan(run, threads=1, data_dir=None)
        for trial in configs:
            result = train(trial, dataset, device=torch.device("cpu"))
            record = Record(
                key=trial.key, cell=trial.cell, model="unet", seed=trial.seed, state="complete", params=10,
                macs=100 * trial.model.width, epochs=1, best_epoch=1, val_dice=0.5,
            )  # fmt: skip
            study.accept(trial.key, pack(trial, record, result.epochs, result))
    return study.path, configs


@pytest.fixture
def study(trained, tmp_path):
    import shutil

    path, configs = trained
    shutil.copytree(path, tmp_path / "study")
    return Study.open(tmp_path / "study"), configs


def test_a_study_keeps_measurements_by_cell_and_its_trials_show_them(study):
    opened, (narrow, wide, wide_again) = study
    assert opened.measurements() == {}
    assert load(opened).trials["latency_ms"].isna().all()
    with opened.writing():
        opened.keep_measurements({narrow.cell: made(latency_ms=7.0)})
        opened.keep_measurements({wide.cell: made(latency_ms=9.0, peak_memory_mb=60.5)})
        opened.keep_measurements({narrow.cell: made(latency_ms=8.0)})
    assert {cell: found.latency_ms for cell, found in opened.measurements().items()} == {narrow.cell: 8, wide.cell: 9}
    trials = load(Study.open(opened.path)).trials.set_index("key")
    assert trials["latency_ms"].to_dict() == {narrow.key: 8.0, wide.key: 9.0, wide_again.key: 9.0}
    assert trials.loc[wide.key, ["peak_memory_mb", "latency_device", "latency_input", "latency_iqr_ms"]].tolist() == [
        60.5, "cpu (X, 1 thread)", "1x16x16", 1.0
    ]  # fmt: skip


@pytest.mark.parametrize("content", ["{", '{"a": {"latency_ms": "fast"}}', "[]"])
def test_a_damaged_file_is_one_line(study, content):
    opened, _ = study
    (opened.path / "measurements.json").write_text(content)
    with pytest.raises(
        InputError, match=r"measurements\.json' cannot be read \(.*\): delete it, and measure again$"
    ) as e:
        opened.measurements()
    assert "\n" not in str(e.value)


def call(capsys, *arguments: object) -> tuple[str, str]:
    from ablate.runners.cli.measure import measure as command

    command.main(list(map(str, arguments)), standalone_mode=False)
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_the_command_measures_each_network_once(study, capsys):
    opened, (narrow, wide, _) = study
    out, err = call(capsys, opened.path, "--repeats", 5, "--seconds", 0.5)
    assert "measuring 1 of 2: width=2 at 1x16x16" in err
    assert "measuring 2 of 2: width=4 at 1x16x16" in err
    assert "measuring 3" not in err
    assert "median of rounds" in out
    assert max(map(len, out.splitlines())) <= 80
    assert set(opened.measurements()) == {narrow.cell, wide.cell}
    assert load(opened).trials["latency_ms"].notna().all()


def test_the_command_prints_one_document(study, capsys, monkeypatch):
    opened, (narrow, wide, _) = study
    latency = {2: 30.0, 4: 10.0}
    sizes = []

    def fake(network, channels, classes, size, device, repeats, threads, seconds):
        sizes.append((channels, *size))
        return made(latency_ms=latency[network.width], channels=channels, size=size, threads=threads)

    monkeypatch.setattr(module, "measure", fake)
    monkeypatch.setattr(module, "busy", lambda: None)
    out, err = call(capsys, opened.path, "--input", "3x64x32", "--json")
    assert err == ""
    document = json.loads(out)
    assert sizes == [(3, 64, 32)] * 2
    assert set(document["measurements"]) == {narrow.cell, wide.cell}
    assert document["failed"] == {}
    (pair,) = document["disagreements"]
    assert (pair["a"]["cell"], pair["b"]["cell"], pair["device"]) == (narrow.cell, wide.cell, "cpu (X, 1 thread)")


def test_a_network_that_fails_does_not_stop_the_others(study, capsys, monkeypatch):
    opened, (_, wide, _) = study

    def fake(network, *_):
        if network.width == 2:
            raise TrialError("its process was ended by signal 9")
        return made()

    monkeypatch.setattr(module, "measure", fake)
    out, _ = call(capsys, opened.path)
    assert "width=2 could not be measured: its process was ended by signal 9" in " ".join(out.split())
    assert set(opened.measurements()) == {wide.cell}


def test_a_measurement_of_version_0_1_reads_as_before(study):
    opened, (narrow, _, _) = study
    old = made().model_dump(mode="json", include={
        "latency_ms", "latency_iqr_ms", "peak_memory_mb", "device", "threads", "channels", "size", "repeats",
        "precision", "load", "versions",
    })  # fmt: skip
    (opened.path / "measurements.json").write_text(json.dumps({narrow.cell: old}))
    (found,) = opened.measurements().values()
    assert (found.rounds, found.latency_low_ms, found.latency_cpu_ms, found.others, found.doubt) == (None,) * 5
    trial = load(opened).trials.set_index("key").loc[narrow.key]
    assert trial["latency_ms"] == 10
    assert trial[["latency_low_ms", "latency_high_ms", "latency_cpu_ms"]].isna().all()


@pytest.mark.parametrize(
    ("changes", "doubt"),
    [
        ({"latency_low_ms": 9.9, "latency_high_ms": 10.2, "latency_cpu_ms": 9.8, "others": 0.2}, None),
        ({"others": 1.26}, "others kept 1.3 cores busy"),
        ({"latency_cpu_ms": 8.3}, "its thread had a core for 83 % of the time"),
        ({"latency_cpu_ms": 8.3, "threads": 2}, None),
        ({"latency_cpu_ms": 1.0, "device": "cuda (X)"}, None),
        (
            {"latency_low_ms": 9.7, "latency_high_ms": 10.2, "rounds": 212},
            "after 212 rounds its interval still reaches 3.0 % from the median",
        ),
        (
            {"latency_cpu_ms": 8.3, "others": 2},
            "others kept 2.0 cores busy, and its thread had a core for 83 % of the time",
        ),
    ],
)
def test_a_latency_is_in_doubt_where_others_worked_or_it_is_unsteady(changes, doubt):
    assert made(**changes).doubt == doubt


def test_a_doubt_is_said_and_kept(study, capsys, monkeypatch):
    opened, (narrow, wide, _) = study
    monkeypatch.setattr(
        module, "measure", lambda network, *_: made(others=1.7 if network.width == 2 else 0.0, latency_ms=12.345)
    )
    out, _ = call(capsys, opened.path)
    said = "The latency of width=2 is in doubt: others kept 1.7 cores busy. Measure it again on an idle machine."
    assert said in " ".join(out.split())
    assert "width=4 is in doubt" not in out
    document = json.loads(call(capsys, opened.path, "--json")[0])
    assert document["doubts"] == {narrow.cell: "others kept 1.7 cores busy"}
    assert opened.measurements()[narrow.cell].others == 1.7
    assert [said] == list(doubted(opened.measurements(), load(opened).trials))
    assert opened.measurements()[wide.cell].doubt is None


def test_a_study_that_a_run_holds_is_not_measured(study, capsys):
    opened, _ = study
    with opened.writing(), pytest.raises(InputError, match="a run is writing"):
        call(capsys, opened.path)
    assert not (opened.path / "measurements.json").exists()


def test_an_input_that_a_network_cannot_take_is_refused_before_any_is_measured(study, capsys, monkeypatch):
    monkeypatch.setattr(module, "measure", lambda *_: pytest.fail("a network was measured"))
    with pytest.raises(InputError, match="multiples of 2, not 17x16"):
        call(capsys, study[0].path, "--input", "1x17x16")


def test_a_study_without_a_complete_trial_has_nothing_to_measure(tmp_path, capsys):
    study = Study.open_or_new(tmp_path / "empty")
    run = Run(space="w", question="?", profile="quick", design="grid", factors={}, definition={}, trials={})
    with study.writing():
        study.plan(run, threads=1, data_dir=None)
    with pytest.raises(InputError, match="no complete trial"):
        call(capsys, study.path)


def test_a_busy_machine_is_said_to_be(study, capsys, monkeypatch):
    monkeypatch.setattr(module, "measure", lambda *_: made())
    monkeypatch.setattr(module.os, "getloadavg", lambda: (3.2, 1.0, 1.0))
    assert "busy (load average 3.2)" in call(capsys, study[0].path)[1]
    monkeypatch.setattr(module.os, "getloadavg", lambda: (0.1, 3.0, 3.0))
    assert "busy" not in call(capsys, study[0].path)[1]


# Where MACs and latency disagree -------------------------------------------------------------------------------------


def timings(*rows: tuple[str, float, float, float], **columns: object) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["cell", "macs", "latency_ms", "latency_iqr_ms"])
    table["label"] = table["cell"]
    return table.assign(**({"data": "slices", "latency_device": "cpu", "latency_input": "1x96x96"} | columns))


def pairs(trials: pd.DataFrame) -> list[tuple[str, str]]:
    return [(pair.a.cell, pair.b.cell) for pair in disagreements(trials)]


def test_fewer_macs_that_take_longer_are_listed_the_worst_first():
    trials = timings(("light", 1e9, 100, 2), ("middle", 2e9, 40, 2), ("heavy", 3e9, 20, 2), ("heaviest", 4e9, 200, 2))
    assert pairs(trials) == [("light", "heavy"), ("light", "middle"), ("middle", "heavy")]
    text = disagreements(trials)[0].text.replace("\N{NO-BREAK SPACE}", " ")
    assert text == (
        "light has 0.33 of the MACs of heavy and 5.00 times its latency: 100.0 ms (IQR 2.0) against 20.0 ms (IQR 2.0)."
    )


def test_a_difference_within_the_spreads_is_none():
    assert pairs(timings(("light", 1e9, 25, 3), ("heavy", 3e9, 20, 2))) == []
    assert pairs(timings(("light", 1e9, 25.1, 3), ("heavy", 3e9, 20, 2))) == [("light", "heavy")]


def test_equal_macs_and_unmeasured_cells_are_not_paired():
    assert pairs(timings(("a", 1e9, 100, 1), ("b", 1e9, 20, 1))) == []
    assert pairs(timings(("a", 1e9, math.nan, math.nan), ("b", 2e9, 20, 1))) == []


def test_only_the_same_device_and_input_compare():
    trials = timings(("light", 1e9, 100, 1), ("heavy", 3e9, 20, 1))
    for column in ("latency_device", "latency_input", "data"):
        assert pairs(trials.assign(**{column: ["one", "another"]})) == []


def test_seeds_of_a_cell_count_once():
    trials = timings(("light", 1e9, 100, 1), ("light", 1e9, 100, 1), ("heavy", 3e9, 20, 1))
    assert pairs(trials) == [("light", "heavy")]


def test_a_table_without_measurements_has_none():
    trials = timings(("light", 1e9, 100, 1), ("heavy", 3e9, 20, 1))
    assert disagreements(trials.drop(columns="latency_device")) == ()


def test_the_module_imports_quickly():
    """`ablate.study.study` needs its record: torch must not come with it."""
    code = "import ablate.cost.measured, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=False).returncode == 0


def test_what_this_machine_cannot_hold_is_said_before_it_is_tried():
    with pytest.raises(InputError, match=r"^unet and an image of 3x1000000x1000000 take 12,\d{3} GB, of which this"):
        check(UNet(), 3, 1, (10**6, 10**6), 1)
    with pytest.raises(InputError, match=r"^1000000 threads: this machine has \d+ cores"):
        check(UNet(), 3, 1, (32, 32), 10**6)
