"""The memory that training takes: foretold without any, held against PyTorch's profiler, and real exhaustion."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from ablate.cost.memory import WORKSPACE, out_of_memory, training_memory
from ablate.errors import InputError
from ablate.models.build import build_model
from ablate.models.network import network
from ablate.models.settings import UNet
from ablate.training.heads import loss_of
from ablate.training.losses.cross_entropy import CrossEntropy

NETWORKS = {
    "unet": {"width": 16},
    "pyconvunet": {"stages": 4},
    "unet_plus_plus": {"width": 8},
    "attention_unet": {"width": 8},
    "resnet34_unet": {},
    "fcn8s": {},
}
ROOT = Path(__file__).parents[3]


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def profiled_peak(config, channels: int, classes: int, size: int, batch: int, dtype: torch.dtype, folder: Path) -> int:
    """The most bytes that PyTorch's CPU allocator had given out in two training steps, as its profiler tells."""
    with one_thread(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        model = build_model(config, channels, classes).to(memory_format=torch.channels_last)
        optimizer = torch.optim.Adam(model.parameters(), fused=True)
        for _ in range(2):
            images = torch.rand(batch, channels, size, size).to(memory_format=torch.channels_last)
            masks = torch.ones(batch, size, size, dtype=torch.uint8)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
                loss = loss_of(CrossEntropy().build(classes), model(images), masks)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
    profiler.export_chrome_trace(str(folder / "trace.json"))
    events = json.loads((folder / "trace.json").read_text())["traceEvents"]
    live = peak = 0
    for event in sorted((e for e in events if e.get("name") == "[memory]"), key=lambda e: e["ts"]):
        live += event["args"]["Bytes"]
        peak = max(peak, live)
    return peak


@pytest.fixture
def as_in_training():
    """Deterministic algorithms, which training asks for, and any other test may leave on."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    training_memory.cache_clear()
    yield
    assert torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(before, warn_only=True)


@pytest.mark.usefixtures("as_in_training")
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("batch", "precision"), [(3, torch.float32), (5, torch.bfloat16)])
def test_tensors_are_what_the_allocator_gives_out(tmp_path, name, batch, precision):
    """Within 2 %: what differs is scratch of operators on this device."""
    config = network(name, **NETWORKS[name])
    measured = profiled_peak(config, 1, 1, 64, batch, precision, tmp_path)
    foretold = training_memory(config, 1, 1, (64, 64), batch, precision) / WORKSPACE
    assert foretold == pytest.approx(measured, rel=0.02)


def test_channels_classes_and_oblong_images_count(tmp_path):
    config = UNet(width=8, stages=3)
    measured = profiled_peak(config, 3, 4, 64, 4, torch.float32, tmp_path)
    assert training_memory(config, 3, 4, (64, 64), 4, torch.float32) / WORKSPACE == pytest.approx(measured, rel=0.02)
    assert training_memory(config, 3, 4, (32, 128), 4, torch.float32) == pytest.approx(
        training_memory(config, 3, 4, (64, 64), 4, torch.float32), rel=0.001
    )


def test_memory_is_a_part_of_the_network_and_a_part_that_grows_with_pixels():
    """Weights, gradients and Adam's two moments are float32 each."""
    config = UNet(width=8, stages=3)
    two, four, eight = (training_memory(config, 1, 1, (64, 64), n, torch.float32) for n in (2, 4, 8))
    assert eight - four == pytest.approx(2 * (four - two), rel=0.001)
    params = sum(p.numel() for p in build_model(UNet(), 1, 1).parameters())
    for precision in (torch.float32, torch.bfloat16):
        found = training_memory(UNet(), 1, 1, (16, 16), 2, precision) / WORKSPACE
        assert 16 * params < found < 18.5 * params  # at most another copy of the weights in 16 bits


def test_a_network_larger_than_memory_is_foretold():
    assert training_memory(UNet(width=2048), 3, 1, (512, 512), 8, torch.bfloat16) > 16 * 30e9


def test_what_cannot_be_built_is_refused():
    with pytest.raises(InputError, match="multiples of 16"):
        training_memory(UNet(), 1, 1, (100, 100), 2, torch.float32)


# Running out ---------------------------------------------------------------------------------------------------------

STEP_UNDER_A_LIMIT = """
import re, resource, sys
from pathlib import Path
import torch
from ablate.data.settings import Phantom
from ablate.models.settings import UNet
from ablate.trial import Protocol, TrialConfig
from ablate.data.load import load_data
from ablate.cost.memory import out_of_memory
from ablate.training.loop import train

def run(side):
    dataset = load_data(Phantom(size=(side, side), count=20))
    trial = TrialConfig(model=UNet(width=16, stages=3), data=dataset.config, protocol=Protocol(epochs=1, batch_size=8))
    return train(trial, dataset, device=torch.device("cpu"))

torch.set_num_threads(1)
run(16)  # loads what is loaded late
used = int(re.search(r"^VmSize:\\s+(\\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[1]) * 10**6,) * 2)
try:
    run(256)
except Exception as error:
    print(type(error).__name__, out_of_memory(error), out_of_memory(ValueError("x")), error)
else:
    print("it fits")
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the limit is Linux's")
def test_a_training_that_hits_its_processs_limit_is_known_as_out_of_memory():
    child = subprocess.run(
        [sys.executable, "-c", STEP_UNDER_A_LIMIT, "100"], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert child.stdout.startswith("RuntimeError True False"), child.stdout + child.stderr


RayOutOfMemoryError = type("OutOfMemoryError", (Exception,), {})  # Ray's is known by its name


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        MemoryError(),
        RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] data. DefaultCPUAllocator: not enough memory: you tried to"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("could not create a primitive"),  # seen of oneDNN under a limit
        RayOutOfMemoryError("Task was killed due to the node running low on memory."),
    ],
)
def test_messages_of_other_devices(error):
    assert out_of_memory(error)


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA error: device-side assert"), ValueError("out of memory"), OSError(28)]
)
def test_other_errors_are_not(error):
    assert not out_of_memory(error)


def test_a_cause_counts():
    error = RuntimeError("the trial failed")
    error.__cause__ = MemoryError()
    assert out_of_memory(error)
