"""One trial on several workers: actors within the Tune trial's own resources, whose epochs it hears as they end.

Not through Ray Train, whose second version takes the workers' resources beside the trial's, and gives them back only
through its own controller or, if that is gone, the dashboard. A run has no dashboard, so when the process of a trial
died, the workers' CPUs and GPUs stayed taken and the trial's next attempt waited for ever. What Tune set aside for a
trial it frees with the trial; and its two actors start in half the time of Ray Train's eight.
"""

from __future__ import annotations

import os
import queue
import socket
import struct
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from ray.exceptions import RayActorError, RayError, RayTaskError

from ablate.modules import use_code, used_code

if TYPE_CHECKING:
    from ray import ObjectRef

    from ablate.data.dataset import Dataset
    from ablate.training.checkpoint import Checkpoint, Epoch
    from ablate.training.loop import Result
    from ablate.training.parallel import Group
    from ablate.trial import TrialConfig
    from ablate.user_code import UserCode


LOOPBACK = "127.0.0.1"


class WorkerDiedError(RayError):
    """A worker process or its node is gone. The trial is not to blame: Tune starts it again from its last epoch."""


class Machine(NamedTuple):
    """Where a worker is: a node of Ray's cluster, and what it computes on there."""

    node: str
    address: str
    host: str
    process: int
    device: str
    """`cpu` or `cuda`."""
    precision: str
    """Of convolutions: `float32`, or with CUDA `bfloat16` or `float16`."""


def train_parallel(
    trial: TrialConfig,
    dataset: ObjectRef[Dataset],
    *,
    workers: int,
    gpus: bool,
    threads: int,
    report: Callable[[Epoch], None],
    checkpoint: Checkpoint,
    each_epoch: bool = False,
    started: Callable[[list[Machine]], None] = lambda machines: None,
) -> Result:
    """`ablate.training.loop.train` by several workers, called within a Tune trial.

    Each worker takes `threads` CPUs, and with `gpus` one GPU, of the trial's placement group, which is to hold a bundle
    for each of them. They end with this function, however it ends.

    Args:
        dataset: the trial's images in Ray's object store.
        report: called here with every epoch in order, while the workers wait.
        checkpoint: sent to the first worker, which writes it from its machine.
        each_epoch: as `train` takes it.
        started: called once, with the machines of all workers.

    Raises:
        WorkerDiedError: a worker is gone.
        Exception: what `train` raised on a worker, `TrialError` among it, or what `report` raised.
    """
    import ray

    actor: Any = ray.remote(_Worker).options(num_cpus=threads, num_gpus=int(gpus), max_concurrency=2)
    team = [actor.remote() for _ in range(workers)]
    try:
        places: list[Machine] = ray.get([worker.machine.remote(gpus) for worker in team])
        order = sorted(range(workers), key=lambda i: places[i])  # neighbours on a machine are neighbours by rank
        team, machines = [team[i] for i in order], [places[i] for i in order]
        started(machines)
        apart = len({machine.node for machine in machines}) > 1
        meeting = ray.get(team[0].host.remote(machines[0].address if apart else LOOPBACK, workers))
        job = ray.put(_Job(trial, used_code(), dataset, checkpoint.read(), checkpoint, threads, each_epoch))
        running = [worker.train.remote(job, rank, meeting) for rank, worker in enumerate(team)]
        return _follow(team[0], running, report)
    except RayActorError as error:
        raise WorkerDiedError(f"a worker of trial {trial.key} is gone: {error}") from error
    finally:
        for worker in team:
            ray.kill(worker)


def _follow(first: Any, running: list[ObjectRef[Any]], report: Callable[[Epoch], None]) -> Result:
    """Report epochs until the first worker has the result; raise what ended a worker, for those of others follow."""
    import ray

    from ablate.training.parallel import PeerLostError

    left, told = running, first.next_epoch.remote()
    while left:
        ready = ray.wait([told, *left])[0][0]
        if ready == told:
            report(ray.get(told))
            told = first.next_epoch.remote()
            continue
        try:
            ray.get(ready)
        except RayTaskError as error:
            if not isinstance(error.cause, PeerLostError):
                raise error.cause from error
            left = [other for other in left if other != ready]
        else:
            result: Result = ray.get(running[0])
            return result
    raise WorkerDiedError("the workers lost each other")


class _Meeting(NamedTuple):
    """Where the workers of a trial find each other."""

    address: str
    port: int
    size: int


class _Job(NamedTuple):
    """What a worker needs. `saved`: what the checkpoint held, read once, so that all workers start from the same."""

    trial: TrialConfig
    code: UserCode
    dataset: ObjectRef[Dataset]
    saved: bytes | None
    checkpoint: Checkpoint
    threads: int
    each_epoch: bool


class _Handed(NamedTuple):
    """A checkpoint whose bytes were read already."""

    saved: bytes | None
    checkpoint: Checkpoint

    def read(self) -> bytes | None:
        return self.saved

    def write(self, data: bytes) -> None:
        self.checkpoint.write(data)


class _Worker:
    """An actor that trains as one rank of a group. The first is asked for its epochs, and waits until it is."""

    def __init__(self) -> None:
        self._epochs: queue.Queue[Epoch] = queue.Queue()
        self._asked = threading.Semaphore(0)
        self._store: Any = None

    def machine(self, gpus: bool) -> Machine:
        import ray
        import torch

        from ablate.training.devices import precision

        self._device = torch.device("cuda" if gpus else "cpu")  # of the GPUs, Ray shows a worker its own alone
        self._machine = Machine(
            node=ray.get_runtime_context().get_node_id(),
            address=ray.util.get_node_ip_address(),
            host=socket.gethostname(),
            process=os.getpid(),
            device=self._device.type,
            precision=str(precision(self._device)).removeprefix("torch."),
        )
        return self._machine

    def host(self, address: str, size: int) -> _Meeting:
        """Let the workers meet at this address of this machine."""
        import torch.distributed as dist

        # torch would listen on every address of the machine, if it were not handed a socket.
        listener = socket.create_server((address, 0))
        port, descriptor = listener.getsockname()[1], listener.detach()
        self._store = dist.TCPStore(address, port, size, True, wait_for_workers=False, master_listen_fd=descriptor)
        return _Meeting(address, port, size)

    def next_epoch(self) -> Epoch:
        self._asked.release()
        return self._epochs.get()

    def train(self, job: _Job, rank: int, meeting: _Meeting) -> Result | None:
        """Give the result on the first rank, whose alone is told."""
        import ray
        import torch

        from ablate.training.loop import train

        def report(epoch: Epoch) -> None:
            if rank == 0:
                self._epochs.put(epoch)
                self._asked.acquire()  # asked for the next: this one is reported

        torch.set_num_threads(job.threads)
        use_code(job.code)
        group = self._join(rank, meeting)
        if rank == 0:
            self._asked.acquire()
        dataset, checkpoint = ray.get(job.dataset), _Handed(job.saved, job.checkpoint)
        result = train(
            job.trial, dataset, device=group.device, report=report, checkpoint=checkpoint, each_epoch=job.each_epoch,
            group=group,
        )  # fmt: skip
        return result if rank == 0 else None

    def _join(self, rank: int, meeting: _Meeting) -> Group:
        import torch.distributed as dist

        from ablate.training.parallel import Group, PeerLostError

        # By itself gloo would listen where the host's name leads, which may be nowhere.
        if interface := _interface(LOOPBACK if meeting.address == LOOPBACK else self._machine.address):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)
            os.environ.setdefault("NCCL_SOCKET_IFNAME", interface)
        try:
            store = self._store or dist.TCPStore(meeting.address, meeting.port, meeting.size, False)
            backend, patience = "nccl" if self._device.type == "cuda" else "gloo", timedelta(minutes=30)
            dist.init_process_group(backend, store=store, rank=rank, world_size=meeting.size, timeout=patience)
        except RuntimeError as error:
            raise PeerLostError(f"rank {rank} found no peers: {error}") from error
        return Group(rank, meeting.size, self._device)


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
