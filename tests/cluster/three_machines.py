"""A study on a real cluster of three machines, two of which are lost under way.

    python tests/cluster/three_machines.py

As a user has it: `ray up cluster.yaml` from a laptop, the machines' addresses filled in; `ablate run --address auto` on
the head; one worker is cut off in the middle of a trial, another's raylet is killed later; `ray job submit` of the same
study anew, its storage an S3 server; `ray down`. What must hold is asserted on the way, and printed. Needs root; leaves
nothing behind, also when it fails.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/runners"), str(Path(__file__).parent)]

from commands import ABLATE, kill_tree, tables  # noqa: E402
from machines import Machine, machines, wait_for  # noqa: E402

SPACE = """\
name: cluster
question: Do wider networks pay?
design: grid
base:
  model: {name: "my_nets:narrow"}
  data: {name: phantom, count: 20, size: [48, 48]}
  protocol: {epochs: %d}
factors:
  model.width: [4, 6, 8]
"""
NETS = {
    "my_nets.py": "from my_parts import stages\n\n\n"
    "def narrow(in_channels, classes, width=4):\n"
    "    from ablate.models.settings import UNet\n\n"
    "    return UNet(width=width, stages=stages()).build(in_channels, classes)\n",
    "my_parts.py": "def stages():\n    return 3\n",
}
"""The user's own network, which is on the driver alone."""
BEGAN = re.compile(r"on (\w+), process \d+")
"""What a trial's log says where it begins, or goes on."""
EPOCHS = 250
SEEDS = 4
TRIALS = 3 * SEEDS
# Ray's own defaults call a silent machine dead after about a minute, and let a worker without its head go on as long.
HASTE = """\
export RAY_health_check_period_ms=1000 RAY_health_check_timeout_ms=3000 RAY_health_check_failure_threshold=5
export RAY_gcs_rpc_server_reconnect_timeout_s=10
"""


def main() -> None:
    step("three machines and a laptop, each with its own network, processes and disk")
    with machines("laptop", "head", "one", "two") as (laptop, head, one, two), calm_study() as calm_tables:
        cluster = [head, one, two]
        prepare(laptop, cluster)
        step("ray up")
        laptop.run("cd ~/ablate && ray up -y --disable-usage-stats cluster.yaml", timeout=400)
        try:
            step("the workers join")
            wait_for("three nodes", lambda: nodes(head) == 3, 180, every=2)
            only_friends_get_in(laptop, cluster)
            another_version_is_named(head, two)
            survived = survive_the_loss_of_two(head, one, two)
            step("the lost machines come back")
            one.link("up")
            wait_for("three nodes again", lambda: nodes(head) == 3, 180, every=2)
            submitted = submit_a_job(laptop, head)
            step("the same study on one machine")
            compare([survived, submitted], calm_tables())
        except BaseException:
            show_logs(laptop, head)
            raise
        finally:
            step("ray down")
            one.link("up")
            laptop.run("cd ~/ablate && ray down -y cluster.yaml")
        wait_for("an end of all of Ray", lambda: not any(ray_processes(m) for m in [laptop, *cluster]), 180, every=2)
    step("nothing is left")
    assert "ablate-" not in subprocess.check_output(["ip", "netns", "list"], text=True)
    assert "abl" not in subprocess.check_output(["ip", "-brief", "link"], text=True)
    assert not list(Path("/var/lib").glob("ablate-machines-*"))
    step("done")


def prepare(laptop: Machine, cluster: list[Machine]) -> None:
    """A clone of the project on the laptop, with the machines' addresses in its cluster.yaml."""
    clone = laptop.disk / "root/ablate"
    subprocess.run(["rsync", "-a", "--exclude=.git", "--filter=:- .gitignore", f"{ROOT}/", f"{clone}/"], check=True)
    config = yaml.safe_load((clone / "cluster.yaml").read_text())
    head, *workers = cluster
    config["provider"] |= {"head_ip": head.address, "worker_ips": [worker.address for worker in workers]}
    config["auth"] |= {"ssh_user": "root"}
    # One core each, so that three trials at a time are one on each machine.
    for commands in (config["head_start_ray_commands"], config["worker_start_ray_commands"]):
        commands[-1] = commands[-1].replace("ray start", "ray start --num-cpus=1")
    (clone / "cluster.yaml").write_text(yaml.safe_dump(config))
    (laptop.disk / "root/.bashrc").write_text("source ~/ablate-env/bin/activate\n")
    for machine in cluster:
        (machine.disk / "root/.bashrc").write_text(HASTE)


def only_friends_get_in(laptop: Machine, cluster: list[Machine]) -> None:
    step("the token is on every machine, and without it nobody gets in")
    files = [machine.disk / "root/.ray/auth_token" for machine in cluster]
    (token,) = {file.read_text() for file in files}
    assert len(token) >= 64
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    head = cluster[0]
    for mode in ("disabled", "token"):
        ask = f"RAY_AUTH_MODE={mode} timeout 60 ray status --address={head.address}:6379"
        assert not succeeds(laptop, ask), f"the cluster answered a stranger with RAY_AUTH_MODE={mode}"
    dashboard = [line.split()[3] for line in head.run("ss -Hltn").splitlines() if ":8265 " in line]
    assert dashboard == ["127.0.0.1:8265"]


def put_space(folder: Path) -> None:
    (folder / "space.yaml").write_text(SPACE % EPOCHS)
    for name, text in NETS.items():
        (folder / name).write_text(text)


def another_version_is_named(head: Machine, two: Machine) -> None:
    step("a node that has another version of the user's module is named")
    put_space(head.disk / "root")
    find = "import sysconfig; print(sysconfig.get_path('purelib'))"
    installed = f'$(~/ablate-env/bin/python -c "{find}")/my_parts.py'
    two.run(f"echo 'def stages(): return 2' > {installed}")
    try:
        ask = "ablate run --space ~/space.yaml --study ~/none --address auto"
        refused = subprocess.run(head.command(ask), capture_output=True, text=True)
        assert refused.returncode == 2, refused.stdout + refused.stderr
        assert f"node {two.address} has another my_parts (code " in refused.stderr, refused.stderr
        there = {record["state"] for record in records(head.disk / "root/none")}
        assert there <= {"trivial"}, "something was trained"
        print(refused.stderr, flush=True)
    finally:
        two.run(f"rm -r {installed}")


def survive_the_loss_of_two(head: Machine, one: Machine, two: Machine) -> Path:
    """Run the study; cut `one` off and kill `two`'s raylet, each while it trains. The study, as seen from outside."""
    step(f"ablate run --address auto: {TRIALS} trials")
    study = head.disk / "root/study"
    put_space(head.disk / "root")
    command = f"ablate run --space ~/space.yaml --seeds {SEEDS} --study ~/study --cpus-per-trial 1 --address auto"
    with (head.disk / "run.log").open("wb") as log:
        run = subprocess.Popen(head.command(command), stdout=log, stderr=subprocess.STDOUT)

    def finished() -> int:
        if run.poll() not in (None, 0):
            raise RuntimeError(f"ablate run ended with exit code {run.poll()}:\n{(head.disk / 'run.log').read_text()}")
        return sum(record["state"] == "complete" for record in records(study))

    try:
        wait_for("trials on all machines", lambda: len(in_training(study)) == 3 and finished() >= 1, 240, every=0.2)
        cut = in_training(study)["one"]
        step(f"{finished()} trials are done: cut one off, which trains {cut}")
        one.link("down")
        before = finished()
        wait_for("more trials", lambda: finished() > before and "two" in in_training(study), 120, every=0.2)
        killed = in_training(study)["two"]
        step(f"{finished()} trials are done: kill two's raylet, which trains {killed}")
        for process in two.processes("raylet/raylet"):
            os.kill(process, signal.SIGKILL)
        assert finished() < TRIALS, "the study was over before two was lost"
        run.wait(timeout=400)
        assert finished() == TRIALS
    finally:
        run.kill()
    text = (head.disk / "run.log").read_text()
    print(text, flush=True)
    logs = "".join(file.read_text() for file in study.glob("logs/*.log"))
    began = Counter(BEGAN.findall(logs))
    step(f"{TRIALS} trials are complete; begun, or gone on with, on {dict(began)}")
    assert set(began) == {"head", "one", "two"}
    for key in (cut, killed):
        assert "its process died" in (study / f"logs/{key}.log").read_text()
    assert BEGAN.findall((study / f"logs/{cut}.log").read_text())[-1] != "one"
    return study


def in_training(study: Path) -> dict[str, str]:
    """The machines on which a trial that has not ended has trained at least an epoch, with its key."""
    found = {}
    for log in study.glob("logs/*.log"):
        _, *attempts = BEGAN.split(log.read_text())
        if attempts and "epoch" in attempts[-1] and not (study / "trials" / log.stem).exists():
            found[attempts[-2]] = log.stem
    return found


def records(study: Path) -> list[dict[str, object]]:
    return [json.loads(file.read_text()) for file in study.glob("trials/*/record.json")]


@contextlib.contextmanager
def calm_study() -> Iterator[Callable[[], dict[str, str]]]:
    """The same study on this machine alone, trained meanwhile. What gives its tables waits for it."""
    with tempfile.TemporaryDirectory() as folder:
        study, space, log = (Path(folder) / name for name in ("study", "space.yaml", "log"))
        put_space(Path(folder))
        command = [ABLATE, "run", "--space", str(space), "--seeds", str(SEEDS), "--study", str(study)]
        with log.open("wb") as output:
            run = subprocess.Popen([*command, "--cpus-per-trial", "1"], stdout=output, stderr=subprocess.STDOUT)

        def its_tables() -> dict[str, str]:
            assert run.wait(timeout=600) == 0, log.read_text()
            return tables(study)

        try:
            yield its_tables
        finally:
            kill_tree(run.pid)
            run.wait()


def compare(studies: list[Path], expected: dict[str, str]) -> None:
    """Their tables are those of the calm study, which has each trial once."""
    for study in studies:
        found = tables(study)
        rows = ", ".join(f"{name} {len(table.splitlines()) - 1}" for name, table in found.items())
        assert found == expected, f"{study.name} differs"
        step(f"{study.name}: its tables (rows: {rows}) are those of one machine's, byte for byte")
        subprocess.run([ABLATE, "verify", str(study)], check=True)


def submit_a_job(laptop: Machine, head: Machine) -> Path:
    """From the laptop, with the token it fetched: the study anew, its storage an S3 server. The study, from outside."""
    step("ray job submit of the same study, its storage an S3 server")
    server = f"{head.address}:5000"
    storage = f"s3://bucket/prefix?endpoint_override={server}&scheme=http"
    environment = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true"}
    what = f"--space /root/space.yaml --seeds {SEEDS} --study /root/s3-study --cpus-per-trial 1"
    submit = (
        "RAY_AUTH_MODE=token ray job submit --address http://127.0.0.1:8265 "
        f"--runtime-env-json {shlex.quote(json.dumps({'env_vars': environment}))} "
        f"-- ablate run {what} --address auto --storage-path {shlex.quote(storage)}"
    )
    log = head.disk / "s3.log"
    make = f"import urllib.request as r; r.urlopen(r.Request('http://{server}/bucket', method='PUT'))"
    reach = "import socket as s; s.create_connection(('127.0.0.1', 8265))"
    with (
        background(head, f"python -m moto.server -H {head.address} -p 5000", log),
        background(laptop, "cd ~/ablate && ray dashboard cluster.yaml", laptop.disk / "dashboard.log"),
    ):
        wait_for("the S3 server", lambda: succeeds(head, f'python -c "{make}"'), 60)
        laptop.run("mkdir -m 700 -p ~/.ray; cd ~/ablate && ray rsync-down cluster.yaml '~/.ray/auth_token' ~/.ray/")
        wait_for("the tunnel", lambda: succeeds(laptop, f'python -c "{reach}"'), 60)
        print(laptop.run(submit, timeout=400)[-2000:])
    came = re.findall(r'([\d.]+) - - .*"(?:PUT|POST) /bucket/\S+/arrivals/(\w+)\.zip', log.read_text())
    senders = {sender for sender, _ in came}
    step(f"{len({key for _, key in came})} trials came over HTTP from {', '.join(sorted(senders))}")
    assert len({key for _, key in came}) == TRIALS
    assert len(senders) == 3
    return head.disk / "root/s3-study"


@contextlib.contextmanager
def background(machine: Machine, line: str, log: Path) -> Iterator[None]:
    """Run `line` on a machine meanwhile."""
    with log.open("wb") as output:
        process = subprocess.Popen(machine.command(line), stdout=output, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        kill_tree(process.pid)
        process.wait()


def succeeds(machine: Machine, line: str) -> bool:
    return subprocess.run(machine.command(line), capture_output=True).returncode == 0


def nodes(head: Machine) -> int:
    """How many machines the cluster has."""
    ask = (
        "from ray._raylet import GcsClient; from ray.core.generated.gcs_pb2 import GcsNodeInfo; "
        f"nodes = GcsClient('{head.address}:6379').get_all_node_info().values(); "
        "print(sum(node.state == GcsNodeInfo.ALIVE for node in nodes))"
    )
    return int(head.run(f'python -c "{ask}"').split()[-1])


def ray_processes(machine: Machine) -> dict[int, str]:
    return machine.processes("ray::") | machine.processes("/ray/")


def show_logs(laptop: Machine, head: Machine) -> None:
    logs = [
        head.disk / "run.log",
        head.disk / "s3.log",
        laptop.disk / "dashboard.log",
        *head.disk.glob("tmp/ray/session_latest/logs/monitor.*"),
    ]
    for log in logs:
        if log.exists():
            print(f"--- {log.name}\n{log.read_text()[-4000:]}", flush=True)


def step(what: str) -> None:
    print(f"== {what} ({time.monotonic() - START:.0f} s)", flush=True)


START = time.monotonic()

if __name__ == "__main__":
    main()
