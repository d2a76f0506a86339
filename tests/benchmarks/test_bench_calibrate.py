"""The time that `harness plan --calibrate` expects, against the run's."""

import sys
from pathlib import Path

from measured_command import measured

from harness.plan.plan import make_plan
from harness.run.calibrate import calibrate

NEAR = 0.3


def test_the_expected_time_is_near_that_of_the_run(root, tmp_path, benchmark, figure):
    suite, out = root / "suites" / "ci.yaml", tmp_path / "out"
    expected = measured(__file__, suite, out)
    run = benchmark.pedantic(measured, ("-m", "harness.cli", "run", suite, "-o", out), rounds=1)
    ratio = float(expected["last"]) / run["wall"]
    figure(
        "seconds that `harness plan --calibrate` expects of 12 cells, against the run's",
        f"within {NEAR:.0%}", f"{ratio:.2f} times", abs(ratio - 1) <= NEAR,
        seconds={"expected": float(expected["last"]), "run": run["wall"],
                 "to expect it": expected["wall"]},
    )  # fmt: skip
    assert 0.5 < ratio < 2


if __name__ == "__main__":
    print(calibrate(make_plan(Path(sys.argv[1]), Path(sys.argv[2]))).total)
