"""One trial on several workers: Ray Train starts them beside the Tune trial, which hears of each epoch as it ends.

Ray Train keeps nothing: the workers' checkpoint is the study's own, a lost worker ends the attempt and Tune starts the
trial again, and the result comes back through the object store. Imports are within functions: of the seven processes
that Ray Train and this module start for a trial on two workers, only the workers need PyTorch.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from ray.exceptions import RayError

if TYPE_CHECKING:
    from ray import ObjectRef

    from ablation.config import TrialConfig
    from ablation.data import Dataset
    from ablation.parallel import Group
    from ablation.training import Checkpoint, Epoch, Result

SETTINGS = {
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": str(10**8),  # workers wait for free machines as trials do, without end
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # a process for what Tune does: start the trial again elsewhere
}


class WorkerDiedError(RayError):
    """A worker process or its node is gone. The trial is not to blame: Tune starts it again from its last epoch."""


def train_parallel(
    trial: TrialConfig,
    dataset: ObjectRef[Dataset],
    *,
    workers: int,
    gpus: bool,
    threads: int,
    report: Callable[[Epoch], None],
    checkpoint: Checkpoint,
) -> Result:
    """`ablation.training.train` by several workers, called within a Tune trial.

    The workers' resources are their own, beside the Tune trial's: `threads` CPUs each, and one GPU with `gpus`. They
    are taken together or not at all, as soon as the cluster has them free, so trials cannot wait in a circle.

    Args:
        dataset: the trial's images in Ray's object store.
        report: called here with every epoch in order, while the workers wait; what it raises ends them.
        checkpoint: sent to the first worker, which writes it from its machine.

    Raises:
        WorkerDiedError: a worker is gone.
        Exception: what `train` raised on a worker, `TrialError` among it, with the worker's traceback as a note.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    import ray
    import torch
    from ray.train.v2.api.config import FailureConfig, RunConfig, ScalingConfig
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    from ablation.training import Epoch, Result

    line: Any = ray.remote(_Line).options(num_cpus=0).remote()
    job = _Job(trial, dataset, checkpoint.read(), checkpoint, gpus, threads, line)
    trainer = DataParallelTrainer(  # not its TorchTrainer: see _join
        _work,
        train_loop_config={"job": ray.put(job)},
        backend_config=_shared_cards(),
        scaling_config=ScalingConfig(
            num_workers=workers, use_gpu=gpus, resources_per_worker={"CPU": threads, "GPU": int(gpus)}
        ),
        run_config=RunConfig(
            name=trial.key,
            storage_path="/train",
            storage_filesystem=_nowhere(),
            failure_config=FailureConfig(max_failures=0, controller_failure_limit=0, max_preemption_failures=0),
        ),
    )
    with ThreadPoolExecutor(max_workers=1) as pool:  # its end waits for the workers'
        fit = pool.submit(trainer.fit)
        _listen(line, fit, lambda row: report(Epoch(*row)))
        lost = fit.exception()
    if lost is not None:
        raise ray.get(line.failure.remote()) or WorkerDiedError(f"a worker of trial {trial.key} is gone: {lost}")
    result = Result(*fit.result().return_value)
    return result._replace(
        epochs=[Epoch(*row) for row in result.epochs],
        weights={name: torch.from_numpy(array) for name, array in result.weights.items()},
    )


def _listen(line: Any, fit: Future[Any], report: Callable[[tuple[Any, ...]], None]) -> None:
    """Report each epoch that comes over `line` until the workers have ended; if `report` raises, they end."""
    import ray

    told = line.next.remote()
    while not fit.done():
        if ray.wait([told], timeout=0.5)[0]:
            go_on = False
            try:
                report(ray.get(told))
                go_on = True
            finally:
                line.answer.remote(go_on)
            told = line.next.remote()


def _nowhere() -> Any:
    """A file system in this process's memory, for the state that Ray Train would write to the user's home."""
    import fsspec  # type: ignore[import-untyped]
    import pyarrow.fs

    return pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(fsspec.filesystem("memory")))


def _shared_cards() -> Any:
    """Lets workers of one machine see each other's GPUs, which then talk to each other directly."""
    from ray.train import BackendConfig
    from ray.train.backend import Backend

    class SharedCards(Backend):
        share_cuda_visible_devices = True

    class SharedCardsConfig(BackendConfig):
        @property
        def backend_cls(self) -> type[Backend]:
            return SharedCards

    return SharedCardsConfig()


class _Line:
    """An actor between the first worker, who tells it of each epoch, and the Tune trial, which answers."""

    def __init__(self) -> None:
        self._epochs: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
        self._answers: asyncio.Queue[bool] = asyncio.Queue()
        self._failure: Exception | None = None

    async def tell(self, epoch: tuple[Any, ...]) -> bool:
        await self._epochs.put(epoch)
        return await self._answers.get()

    async def next(self) -> tuple[Any, ...]:
        return await self._epochs.get()

    async def answer(self, go_on: bool) -> None:
        await self._answers.put(go_on)

    async def fail(self, failure: Exception) -> None:
        self._failure = self._failure or failure

    async def failure(self) -> Exception | None:
        return self._failure


class _Job(NamedTuple):
    """What a worker needs. `saved`: what the checkpoint held, read once, so that all workers start from the same."""

    trial: TrialConfig
    dataset: ObjectRef[Dataset]
    saved: bytes | None
    checkpoint: Checkpoint
    gpus: bool
    threads: int
    line: Any


class _Handed(NamedTuple):
    """A checkpoint whose bytes were read already."""

    saved: bytes | None
    checkpoint: Checkpoint

    def read(self) -> bytes | None:
        return self.saved

    def write(self, data: bytes) -> None:
        self.checkpoint.write(data)


class _StoppedError(Exception):
    """The Tune trial ended while its workers trained."""


def _work(config: dict[str, Any]) -> tuple[Any, ...]:
    """What every worker runs. It gives a `Result` as plain tuples and arrays: Ray Train passes on no tensors."""
    import ray
    import torch

    from ablation.parallel import PeerLostError
    from ablation.training import train

    job: _Job = ray.get(config["job"])
    dataset = ray.get(job.dataset)
    torch.set_num_threads(job.threads)
    group = _join(job.gpus)

    def report(epoch: Epoch) -> None:
        if group.rank == 0 and not ray.get(job.line.tell.remote(tuple(epoch))):
            raise _StoppedError

    checkpoint = _Handed(job.saved, job.checkpoint)
    try:
        result = train(job.trial, dataset, device=group.device, report=report, checkpoint=checkpoint, group=group)
    except (PeerLostError, RayError):
        raise
    except Exception as failure:
        failure.add_note(traceback.format_exc())
        ray.get(job.line.fail.remote(failure))
        raise
    weights = {name: tensor.numpy() for name, tensor in result.weights.items()}
    return tuple(result._replace(epochs=[tuple(row) for row in result.epochs], weights=weights))  # type: ignore


def _join(gpus: bool) -> Group:
    """The group of this Ray Train worker, which meets through loopback alone where one machine has all workers.

    Ray Train's TorchTrainer would do this too, but listen on every address of the machine (and load PyTorch in its
    controller, which costs the start of each trial more than a second).
    """
    import ray
    import torch
    import torch.distributed as dist
    from ray.train import get_context
    from ray.train.collective import broadcast_from_rank_zero

    from ablation.parallel import Group

    context = get_context()
    rank, size = context.get_world_rank(), context.get_world_size()
    one_machine = context.get_local_world_size() == size
    address = "127.0.0.1" if one_machine else ray.util.get_node_ip_address()
    if interface := _interface(address):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)
        os.environ.setdefault("NCCL_SOCKET_IFNAME", interface)
    device = torch.device("cpu")
    if gpus:
        from ray.train.torch import get_device

        device = get_device()
        torch.cuda.set_device(device)
    listener = socket.create_server((address, 0)) if rank == 0 else None
    host, port = broadcast_from_rank_zero(listener.getsockname() if listener else None)
    descriptor = listener.detach() if listener else None
    store = dist.TCPStore(host, port, size, rank == 0, wait_for_workers=False, master_listen_fd=descriptor)
    backend, patience = "nccl" if gpus else "gloo", timedelta(minutes=30)
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=patience)
    return Group(rank, size, device)


def _interface(address: str) -> str | None:
    """The network interface that has this IPv4 address, or None where the system does not say (it is not Linux)."""
    try:
        from fcntl import ioctl
    except ImportError:
        return None
    siocgifaddr = 0x8915
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            try:
                found = ioctl(probe, siocgifaddr, struct.pack("256s", name.encode()))
            except OSError:
                continue
            if socket.inet_ntoa(found[20:24]) == address:
                return name
    return None
