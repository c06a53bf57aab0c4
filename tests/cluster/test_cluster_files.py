"""The files that launch a cluster, against Ray's own schema and loader, and against each other."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs/cluster"
LAUNCHERS = [ROOT / "cluster.yaml", DOCS / "aws.yaml", DOCS / "gcp.yaml"]


def load(file: Path) -> dict[str, Any]:
    config = yaml.safe_load(file.read_text())
    assert isinstance(config, dict)
    return config


@pytest.mark.parametrize("file", LAUNCHERS, ids=lambda file: file.name)
def test_ray_loads_it_and_finds_it_valid(file: Path) -> None:
    prepared = prepare_config(load(file))
    validate_config(prepared)
    workers = sum(kind["min_workers"] for kind in prepared["available_node_types"].values())
    assert workers == prepared["max_workers"] == 2
    # What runs on the head is what runs on every machine, and the token.
    assert prepared["head_setup_commands"][: len(prepared["setup_commands"])] == prepared["worker_setup_commands"]


@pytest.mark.parametrize("file", LAUNCHERS, ids=lambda file: file.name)
def test_every_machine_has_the_token_and_asks_for_it(file: Path) -> None:
    config = load(file)
    assert any("RAY_AUTH_MODE=token" in command and ".bashrc" in command for command in config["setup_commands"])
    assert any("get-auth-token --generate" in command for command in config["head_setup_commands"])
    assert config["cluster_synced_files"] == ["~/.ray/auth_token"]
    assert "disabled" not in file.read_text()


@pytest.mark.parametrize("file", LAUNCHERS, ids=lambda file: file.name)
def test_the_dashboard_listens_on_loopback_only(file: Path) -> None:
    config = load(file)
    (start,) = (command for command in config["head_start_ray_commands"] if "ray start" in command)
    assert "--dashboard-host=127.0.0.1" in start
    assert "0.0.0.0" not in file.read_text()


@pytest.mark.parametrize("file", LAUNCHERS, ids=lambda file: file.name)
def test_machines_get_the_installation_of_the_readme(file: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    assert "pip install -c constraints.txt ." in readme
    config = load(file)
    assert any("pip install -q -c ~/ablate/constraints.txt ~/ablate" in command for command in config["setup_commands"])
    assert config["file_mounts"] == {"~/ablate": "."}


def run_guard(addresses: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """cluster.yaml's look at a machine's addresses, on one that has these."""
    tool = folder / "hostname"
    tool.write_text(f"#!/bin/sh\necho '{addresses}'\n")
    tool.chmod(0o755)
    (guard,) = (command for command in load(ROOT / "cluster.yaml")["setup_commands"] if "hostname" in command)
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}
    return subprocess.run(["bash", "-c", guard], capture_output=True, text=True, env=environment)


def test_a_machine_with_private_addresses_is_taken(tmp_path: Path) -> None:
    assert run_guard("10.0.0.2 192.168.1.4 172.17.0.1 fd00::2", tmp_path).returncode == 0


@pytest.mark.parametrize("public", ["8.8.4.4", "2a00:1450:4001::1"])
def test_a_machine_with_a_public_address_is_refused(public: str, tmp_path: Path) -> None:
    refused = run_guard(f"10.0.0.2 {public}", tmp_path)
    assert refused.returncode == 1
    assert public in refused.stderr


def test_the_kubernetes_manifest_fits_together() -> None:
    cluster, claim, policy = yaml.safe_load_all((DOCS / "kuberay.yaml").read_text())
    assert (cluster["kind"], claim["kind"], policy["kind"]) == ("RayCluster", "PersistentVolumeClaim", "NetworkPolicy")
    constraints = (ROOT / "constraints.txt").read_text()
    assert f"ray=={cluster['spec']['rayVersion']}\n" in constraints
    assert cluster["spec"]["authOptions"] == {"mode": "token"}
    head = cluster["spec"]["headGroupSpec"]["template"]["spec"]
    (volume,) = head["volumes"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert [mount["name"] for mount in head["containers"][0]["volumeMounts"]] == [volume["name"]]
    of_cluster = {"matchLabels": {"ray.io/cluster": cluster["metadata"]["name"]}}
    assert policy["spec"]["podSelector"] == of_cluster
    assert {"podSelector": of_cluster} in policy["spec"]["ingress"][0]["from"]
    (workers,) = cluster["spec"]["workerGroupSpecs"]
    images = {pod["containers"][0]["image"] for pod in (head, workers["template"]["spec"])}
    assert len(images) == 1


def test_the_slurm_script_runs_a_study_on_every_machine_with_a_token_of_its_own(tmp_path: Path) -> None:
    """With a srun that writes down what it is to run, and what it hands on."""
    home = tmp_path / "home"
    (home / "ablate-env/bin").mkdir(parents=True)
    (home / "ablate-env/bin/activate").write_text("")
    tools = tmp_path / "tools"
    tools.mkdir()
    fakes = {
        "srun": 'printf "%s\\n" "$@"; echo "token $RAY_AUTH_MODE $RAY_AUTH_TOKEN"',
        # More than a pipe holds, in many writes: whoever stops reading is found out.
        "scontrol": "echo localhost; for ((n = 2; n <= 30000; n++)); do echo node$n; done",
    }
    for name, body in fakes.items():
        (tools / name).write_text(f"#!/bin/bash\n{body}\n")
        (tools / name).chmod(0o755)
    environment = os.environ | {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "HOME": str(home),
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_NODELIST": "node[1-3]",
        "SLURM_JOB_NUM_NODES": "3",
    }
    script = ["bash", str(DOCS / "slurm.sh"), "--space", "my space.yaml", "--seeds", "3"]
    printed = [
        subprocess.run(script, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
        for _ in range(2)
    ]
    *command, token = printed[0]
    at = command.index("symmetric-run")
    address = command[command.index("--address") + 1]
    assert address == "127.0.0.1:6379"
    assert command[at - 1 :] == [
        *("ray", "symmetric-run", "--address", address, "--min-nodes", "3", "--disable-usage-stats", "--"),
        *("ablate", "run", "--address", address, "--space", "my space.yaml", "--seeds", "3"),
    ]
    assert re.fullmatch(r"token token [0-9a-f]{64}", token)
    assert token != printed[1][-1]


EARLY = re.compile(
    r"\|\s*(head\b|sed\b[^|\n]*\bq\b|sed \d*q|grep\b[^|\n]*\s(-\w*[qm]|--quiet|--max-count)|awk\b[^|\n]*\bexit\b)"
)
"""A reader that ends before its pipe does: with pipefail the writer's death is the whole script's."""


def test_the_pattern_of_early_readers_finds_them() -> None:
    for line in (
        "a | sed 1q",
        "a | head -1",
        "a | grep -q b",
        "a | grep -m 1 b",
        "a | awk '{print; exit}'",
        "a|sed -n '1p;q'",
    ):
        assert EARLY.search(line), line
    for line in ("a | sed s/a/b/", "a | grep -oP 'q'", "a | awk 'NR == 1 {print $1}'", "grep -qs a file || b"):
        assert not EARLY.search(line), line


@pytest.mark.parametrize(
    "file",
    [*LAUNCHERS, *sorted(DOCS.glob("*")), ROOT / ".ci/run", *sorted((ROOT / "tests/cluster").glob("*machines.py"))],
    ids=lambda file: file.name,
)
def test_no_script_stops_reading_a_pipe(file: Path) -> None:
    assert EARLY.findall(file.read_text()) == []
