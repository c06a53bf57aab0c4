"""The machines of a Ray cluster, and whether each has what a run needs: checked before any trial starts.

What asks a node is sent to it by value and needs nothing but Python there, so that a machine without the project, or
with another version, is told from a broken one.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ablate import DISTRIBUTION
from ablate.cuda import has_cuda
from ablate.errors import InputError
from ablate.modules import fingerprint_on_path, used_code
from ablate.runners.execution.storage import Storage, StorageError

if TYPE_CHECKING:
    from ablate.trial import TrialConfig

TIMEOUT_SECONDS = 60.0
"""How long a node has to answer; starting a process there is most of it."""
_PACKAGES = ("ablate", "ablate.analysis", "ablate.runners", "ablate.search_spaces")
_COMPARED = (DISTRIBUTION, "numpy", "optuna", "ray", "torch", "python")
"""Whose versions must be this driver's."""
_INSTALL = "pip install -c constraints.txt ."


class Card(NamedTuple):
    """A GPU. `memory` in bytes."""

    name: str
    memory: int


class Node(NamedTuple):
    """A machine. `name`: its address, with Ray's id where several share one; `cards`: the GPUs that could be asked."""

    name: str
    cpus: int
    gpus: int
    cards: tuple[Card, ...] = ()
    id: str = ""


class _Answer(NamedTuple):
    """What a node has. None: it has no such package, code or file."""

    versions: dict[str, str | None]
    code: str | None
    """SHA-256 over the project's modules and YAML files, as Python finds them there."""
    files: dict[str, str | None]
    """SHA-256 of each file asked for."""
    cards: tuple[Card, ...]

    @classmethod
    def of(cls, told: dict[str, Any]) -> _Answer:
        return cls(**{**told, "cards": tuple(Card(*card) for card in told["cards"])})


def this_node() -> Node:
    """This machine, without Ray."""
    gpus = 0
    if has_cuda():
        import torch

        gpus = torch.cuda.device_count()
    cards = _Answer.of(_probe()([], [], [])).cards if gpus else ()
    return Node("this machine", os.cpu_count() or 1, gpus, cards)


def check_nodes(trials: Iterable[TrialConfig], timeout_seconds: float = TIMEOUT_SECONDS) -> list[Node]:
    """Ask every node of the connected cluster what it has, and return them.

    Raises `InputError`, naming the node, where its versions (the project's, Python's, those of what trials compute
    with, and of libraries that one of `trials` names) or the project's code are not this driver's, where it has another
    version of a module of the user's, where it lacks encoder weights that one of `trials` names, or where it does not
    answer. The user's modules themselves travel with the trials.
    """
    trials = list(trials)
    asked = list(_PACKAGES), [*_COMPARED, *sorted(_libraries(trials))], sorted(_weights(trials))
    nodes = _alive()
    own = _Answer.of(_probe()(*asked))
    told = _ask(nodes, _probe(), [asked] * len(nodes), timeout_seconds)
    answers = [_Answer.of(answer) for answer in told]
    _complain({node.name: _fault(answer, own) for node, answer in zip(nodes, answers, strict=True)})
    modules = {module: used_code().fingerprint(module) for module in used_code().read}
    if modules:
        told = _ask(nodes, _other_module, [(modules,)] * len(nodes), timeout_seconds)
        _complain({node.name: fault for node, fault in zip(nodes, told, strict=True)})
    return [node._replace(cards=answer.cards) for node, answer in zip(nodes, answers, strict=True)]


def check_storage_reach(
    nodes: Sequence[Node], remote: Storage, home: Storage, timeout_seconds: float = TIMEOUT_SECONDS
) -> None:
    """See that what each node writes to `remote` is what this driver reads from `home`. After `check_nodes`.

    Raises `InputError`, naming the node and the reason, where it is not.
    """
    probes = {node.name: (f"probes/{uuid.uuid4().hex}", node.id.encode()) for node in nodes}
    try:
        told = _ask(nodes, _leave, [(remote, *probes[node.name]) for node in nodes], timeout_seconds)
        faults: dict[str, str] = {}
        for node, failed in zip(nodes, told, strict=True):
            name, data = probes[node.name]
            if failed:
                faults[node.name] = f"cannot use the storage: {failed}"
            elif home.read(name) != data:
                faults[node.name] = (
                    f"writes to another {remote} than this driver reads: give --storage-path a folder that all nodes "
                    "share, or a URI that pyarrow knows (s3://…)"
                )
        _complain(faults)
    except StorageError as error:
        raise InputError(f"--storage-path: {error}") from None
    finally:
        for name, _ in probes.values():
            with contextlib.suppress(StorageError):
                home.delete(name)


def _leave(storage: Storage, name: str, data: bytes) -> str:
    """On a node: write, and read back; why not, or nothing."""
    try:
        storage.write(name, data)
        return "" if storage.read(name) == data else f"{storage} does not give back what was written"
    except StorageError as error:
        return str(error)


def _probe() -> Callable[[list[str], list[str], list[str]], dict[str, Any]]:
    """What runs on a node. A local function: it travels by value, so the node needs no module of this project."""

    def probe(packages: list[str], names: list[str], files: list[str]) -> dict[str, Any]:
        import hashlib
        import importlib.metadata
        import importlib.util
        import platform
        import subprocess
        from pathlib import Path

        def version(name: str) -> str | None:
            try:
                return platform.python_version() if name == "python" else importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                return None

        def code() -> str | None:
            digest = hashlib.sha256()
            for package in packages:
                try:
                    spec = importlib.util.find_spec(package)
                except ImportError:
                    spec = None
                if spec is None or not spec.submodule_search_locations:
                    return None
                root = Path(spec.submodule_search_locations[0])
                for file in sorted(f for f in root.rglob("*") if f.suffix in (".py", ".yaml")):
                    name = f"{package}/{file.relative_to(root).as_posix()}"
                    digest.update(f"{name}\n{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
            return digest.hexdigest()

        def checksum(name: str) -> str | None:
            try:
                with Path(name).open("rb") as file:
                    return hashlib.file_digest(file, "sha256").hexdigest()
            except OSError:
                return None

        def cards() -> list[tuple[str, int]]:
            # Not through CUDA: Ray hides the cards from a task that asks for none, and a context would take memory.
            query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
            try:
                said = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True).stdout
                rows = [line.rsplit(",", 1) for line in said.splitlines()]
                return [(name.strip(), int(mebibytes) * 2**20) for name, mebibytes in rows]
            except (OSError, subprocess.SubprocessError, ValueError):
                return []

        return {
            "versions": {name: version(name) for name in names},
            "code": code() if packages else None,
            "files": {name: checksum(name) for name in files},
            "cards": cards(),
        }

    return probe


def _ask(
    nodes: Sequence[Node], question: Callable[..., Any], arguments: Sequence[tuple[Any, ...]], timeout_seconds: float
) -> list[Any]:
    """The answers of `question(*arguments)` run on each node. Raises `InputError`, naming those that give none."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    remote = ray.remote(question)
    references = [
        remote.options(
            num_cpus=0, max_retries=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)
        ).remote(*given)
        for node, given in zip(nodes, arguments, strict=True)
    ]
    _, late = ray.wait(references, num_returns=len(references), timeout=timeout_seconds)
    answers: list[Any] = []
    faults: dict[str, str] = {}
    for node, reference in zip(nodes, references, strict=True):
        if reference in late:
            ray.cancel(reference, force=True)
            faults[node.name] = (
                f"did not answer within {timeout_seconds:g} s: see that it runs and can be reached "
                "('ray list nodes'), or take it out of the cluster"
            )
            continue
        try:
            answers.append(ray.get(reference))
        except ray.exceptions.RayError as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
            faults[node.name] = f"could not be asked: {lines[-1]}"
    _complain(faults)
    return answers


def _alive() -> list[Node]:
    import ray

    found = [node for node in ray.nodes() if node["Alive"]]
    addresses = [node["NodeManagerAddress"] for node in found]
    return [
        Node(
            address if addresses.count(address) == 1 else f"{address} ({node['NodeID'][:8]})",
            int(node["Resources"].get("CPU", 0)),
            int(node["Resources"].get("GPU", 0)),
            id=node["NodeID"],
        )
        for node, address in zip(found, addresses, strict=True)
    ]


def _libraries(trials: Iterable[TrialConfig]) -> set[str]:
    """The distributions that trials name parts of."""
    makers = {made for trial in trials for part in trial.parts.values() for made in part.made_by.split(", ")}
    return {made.rpartition(" ")[0] for made in makers if made and not made.startswith("code ")}


def _other_module(modules: Mapping[str, str]) -> str:
    """On a node: which of the user's modules it has otherwise than the driver, in words; nothing if none."""
    for module, fingerprint in modules.items():
        there = fingerprint_on_path(module)
        if there not in ("", fingerprint):
            return f"has another {module} (code {there}) than this driver (code {fingerprint}): take it away there"
    return ""


def _weights(trials: Iterable[TrialConfig]) -> set[str]:
    files = (getattr(trial.model, "encoder_weights", None) for trial in trials)
    return {str(Path(file).absolute()) for file in files if file is not None}


def _fault(there: _Answer, here: _Answer) -> str:
    """What a node lacks or has otherwise than this driver; nothing if all is the same."""
    if there.versions[DISTRIBUTION] is None:
        return f"has no ablate: install it there, {_INSTALL}"
    other = [name for name, version in here.versions.items() if _public(there.versions[name]) != _public(version)]
    if other:
        theirs = " and ".join(f"{name} {there.versions[name] or 'missing'}" for name in other)
        ours = " and ".join(str(here.versions[name]) for name in other)
        return f"has {theirs}, this driver {ours}: install the same there, {_INSTALL}"
    if there.code != here.code:
        version = here.versions[DISTRIBUTION]
        return f"has other code of ablate {version} than this driver: install the same there, {_INSTALL}"
    for name, checksum in here.files.items():
        if there.files[name] is None:
            return f"lacks the encoder weights '{name}': copy the file there"
        if there.files[name] != checksum:
            return f"has other encoder weights '{name}' than this driver: copy the file there"
    return ""


def _public(version: str | None) -> str | None:
    """A version without its build: torch's +cpu and +cu130 are one, for a driver need not have a GPU."""
    return version and version.partition("+")[0]


def _complain(faults: Mapping[str, str]) -> None:
    """Raise what is wrong, naming each fault once with all nodes that have it; `faults` by node, empty where none."""
    nodes: dict[str, list[str]] = {}
    for name, fault in faults.items():
        nodes.setdefault(fault, []).append(name)
    nodes.pop("", None)
    if nodes:
        raise InputError("; ".join(f"node {', '.join(names)} {fault}" for fault, names in nodes.items()))
