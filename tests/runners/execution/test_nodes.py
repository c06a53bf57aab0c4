"""Every node of a cluster is checked before anything is trained: what a faulty one is said to be, on real Ray nodes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import PACKAGES, copied_package

from ablate import DISTRIBUTION
from ablate.data.settings import Phantom
from ablate.errors import InputError
from ablate.models.settings import ResNet34UNet, UNet
from ablate.runners.execution import nodes as module
from ablate.runners.execution.nodes import Card, Node, check_nodes, check_storage_reach, this_node
from ablate.runners.execution.storage import DriverStorage, PathStorage
from ablate.trial import TrialConfig

CODE = tuple(sorted(PACKAGES))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[object]:
    """A head, to which this process connects from an empty directory: Ray's workers look where their driver is."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray.cluster_utils import Cluster

    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("elsewhere"))
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        ray.init(made.address, log_to_driver=False)
        yield made
    finally:
        ray.shutdown()
        made.shutdown()
        os.chdir(before)


@pytest.fixture(scope="module")
def worker(cluster) -> Iterator[object]:
    """A second node that has all that it should."""
    node = cluster.add_node(num_cpus=2)
    yield node
    cluster.remove_node(node)


def python_with(folder: Path, **files: str) -> dict[str, str]:
    """The environment of a node whose Python finds `files` before anything else."""
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return {"PYTHONPATH": str(folder)}


def another_checkout(folder: Path) -> dict[str, str]:
    with (copied_package(folder) / "search_spaces" / "profiles.py").open("a") as file:
        file.write("# changed\n")
    return {"PYTHONPATH": str(folder)}


NO_ABLATE = f"""
import importlib.metadata, sys
sys.modules.update(dict.fromkeys({CODE!r}))
found = importlib.metadata.version
def version(name):
    if name == "ablate-study":
        raise importlib.metadata.PackageNotFoundError(name)
    return found(name)
importlib.metadata.version = version
"""


def test_nodes_that_are_alike_pass_and_say_what_they_have(cluster, worker):
    found = check_nodes([TrialConfig(model=UNet(), data=Phantom())])
    assert sorted((node.cpus, node.gpus, node.cards) for node in found) == [(1, 0, ()), (2, 0, ())]
    assert len({node.name for node in found}) == 2  # of one address here, so told apart by Ray's ids
    assert all(node.id[:8] in node.name for node in found)


def test_what_differs_is_named_with_its_node(cluster, tmp_path):
    """Three faulty nodes at once: another version, another checkout of the same version, and no ablate at all."""
    old = {"torch-2.12.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: torch\nVersion: 2.12.0\n"}
    faulty = [
        cluster.add_node(wait=False, env_vars=python_with(tmp_path / "old", **old)),
        cluster.add_node(wait=False, env_vars=another_checkout(tmp_path / "changed")),
        cluster.add_node(wait=False, env_vars=python_with(tmp_path / "none", **{"sitecustomize.py": NO_ABLATE})),
    ]
    try:
        cluster.wait_for_nodes()
        with pytest.raises(InputError) as error:
            check_nodes([])
    finally:
        for node in faulty:
            cluster.remove_node(node)
    message = str(error.value)
    assert "\n" not in message
    told = dict(zip((node.node_id[:8] for node in faulty), range(3), strict=True))
    said = {told[part.partition("(")[2][:8]]: part.partition(") ")[2] for part in message.split("; ")}
    ours = this_version("torch")
    assert said == {
        0: f"has torch 2.12.0, this driver {ours}: install the same there, pip install -c constraints.txt .",
        1: f"has other code of ablate {this_version(DISTRIBUTION)} than this driver: install the same there, "
        "pip install -c constraints.txt .",
        2: "has no ablate: install it there, pip install -c constraints.txt .",
    }


def this_version(name: str) -> str:
    import importlib.metadata

    return importlib.metadata.version(name)


def test_a_node_that_does_not_answer_is_named(cluster, worker):
    process = worker.all_processes["raylet"][0].process.pid
    os.kill(process, signal.SIGSTOP)
    try:
        with pytest.raises(InputError, match=rf"^node \S+ \({worker.node_id[:8]}\) did not answer within 2 s: "):
            check_nodes([], timeout_seconds=2)
    finally:
        os.kill(process, signal.SIGCONT)


def test_storage_through_the_driver_or_on_a_shared_path_is_reached(cluster, worker, tmp_path):
    nodes = check_nodes([])
    home = PathStorage(str(tmp_path / "study"))
    home.prepare()
    check_storage_reach(nodes, DriverStorage(tmp_path / "study"), home)
    check_storage_reach(nodes, home, home)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_storage_that_a_node_has_for_itself_is_not_taken_for_shared(cluster, worker, tmp_path):
    theirs, ours = PathStorage(str(tmp_path / "theirs")), PathStorage(str(tmp_path / "ours"))
    theirs.prepare()
    with pytest.raises(InputError) as error:
        check_storage_reach(check_nodes([]), theirs, ours)
    assert f"writes to another {theirs} than this driver reads: give --storage-path a folder" in str(error.value)
    assert str(error.value).count(worker.node_id[:8]) == 1


def test_storage_that_cannot_be_written_is_said_with_its_reason(cluster, tmp_path):
    (tmp_path / "file").write_text("")
    storage = PathStorage(str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"^node .+ cannot use the storage: storage '.*file': \S+") as error:
        check_storage_reach(check_nodes([]), storage, storage)
    assert "\n" not in str(error.value)


# Without a cluster ---------------------------------------------------------------------------------------------------


def asked(files: list[Path] | None = None, packages: tuple[str, ...] = CODE) -> module._Answer:
    return module._Answer.of(
        module._probe()(list(packages), [DISTRIBUTION, "torch", "python"], list(map(str, files or [])))
    )


def test_weights_that_a_node_lacks_or_has_otherwise_are_named(tmp_path):
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"one")
    trial = TrialConfig(model=ResNet34UNet(encoder_weights=weights), data=Phantom())
    assert module._weights([trial, trial]) == {str(weights)}
    here = asked([weights])
    weights.write_bytes(b"another")
    assert module._fault(asked([weights]), here).startswith(f"has other encoder weights '{weights}' than this driver")
    weights.unlink()
    assert module._fault(asked([weights]), here) == f"lacks the encoder weights '{weights}': copy the file there"


def test_the_build_of_torch_may_differ():
    here = asked()
    there = here._replace(versions={**here.versions, "torch": f"{module._public(here.versions['torch'])}+cu130"})
    assert module._fault(there, here) == ""
    older = here._replace(versions={DISTRIBUTION: "0.0.1", "torch": "1.0+cpu", "python": None})
    assert module._fault(older, here).startswith(
        "has ablate-study 0.0.1 and torch 1.0+cpu and python missing, this driver "
    )


def test_a_fault_of_several_nodes_is_said_once():
    with pytest.raises(InputError, match=r"^node a, c has no ablate; node d is late$"):
        module._complain({"a": "has no ablate", "b": "", "c": "has no ablate", "d": "is late"})
    module._complain({"a": ""})


def test_cards_are_what_nvidia_smi_tells(tmp_path, monkeypatch):
    """The tool prints a name, which may hold a comma, and MiB."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA H100, 80GB HBM3, 81559'\necho 'Tesla T4, 15360'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert asked().cards == (Card("NVIDIA H100, 80GB HBM3", 81559 * 2**20), Card("Tesla T4", 15360 * 2**20))
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert asked().cards == ()


def test_this_machine_is_known_without_ray(monkeypatch):
    import ray
    import torch

    monkeypatch.setattr(ray, "nodes", lambda: pytest.fail("Ray was asked"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert this_node() == Node("this machine", os.cpu_count(), 0)
