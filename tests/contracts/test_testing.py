"""`ablate.testing` as another package uses it: a class a part, a test a check, and a line for what fails."""

import subprocess
import sys
from pathlib import Path

SUITE = """
from torch import nn
from ablate.testing import NetworkContract, OptimizerContract

class Net(nn.Module):
    def __init__(self, in_channels, classes, spare=False):
        super().__init__()
        self.head = nn.Conv2d(in_channels, classes, 1)
        self.spare = nn.Conv2d(1, 1, 1) if spare else None

    def forward(self, x):
        return self.head(x)

class TestNet(NetworkContract):
    part = Net
    variants = ({}, {"spare": True})
    tried = {"in_channels": 3, "classes": 2}

class TestTorchs(OptimizerContract):
    part = "torch.optim:NAdam"
"""


def test_a_package_tests_its_parts_by_one_class_each(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-q", "-rfs", "-p", "no:cacheprovider", "test_mine.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert [line.partition(" - ")[0] for line in failed] == [
        "FAILED test_mine.py::TestNet::test_gradients_reach_every_parameter[spare=True]"
    ]
    assert "spare.weight has no gradient" in done.stdout
    assert "Traceback" not in done.stdout
    assert "1 skipped" in done.stdout  # the training, which rests on all else
    assert "test_its_state_survives_saving" not in done.stdout.partition("FAILURES")[2]


def test_nothing_but_the_suites_imports_pytest() -> None:
    code = "import ablate.contracts.contract, ablate.contracts.network, sys; print('pytest' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
