"""The time that `harness plan --calibrate` expects, against the run's."""

import json
import re
import subprocess
import sys
from pathlib import Path

COMMAND = Path(__file__).parent / "measured_command.py"
NEAR = 0.3


def seconds_of(*words):
    """Wall-clock seconds of a fresh `harness`, and what it printed."""
    command = [sys.executable, str(COMMAND), sys.executable, "-m", "harness.cli", *map(str, words)]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert told["rc"] == 0, told["error"]
    return told


def test_the_expected_time_is_near_that_of_the_run(root, tmp_path, benchmark, figure):
    suite, out = root / "suites" / "ci.yaml", tmp_path / "out"
    planned = subprocess.run(
        [sys.executable, "-m", "harness.cli", "plan", suite, "-o", out, "--calibrate"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    amount, unit = re.search(r"about (\d+) (s|min),", planned).groups()
    expected = int(amount) * {"s": 1, "min": 60}[unit]
    run = benchmark.pedantic(seconds_of, ("run", suite, "-o", out), rounds=1)["wall"]
    figure(
        "seconds that `harness plan --calibrate` expects of 12 cells, against the run's",
        f"within {NEAR:.0%}", f"{expected / run:.2f} times", abs(expected / run - 1) <= NEAR,
        seconds={"expected": expected, "run": run},
    )  # fmt: skip
    assert 0.5 < expected / run < 2
