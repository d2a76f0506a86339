"""Runs a command and prints its wall-clock and processor seconds, orphans' included, as JSON.

    python tests/benchmarks/measured_command.py COMMAND...

The harness's workers are children of a server that outlives its parent for a moment, so this
process adopts orphans (Linux) and waits for them before it reads the processor time.
"""

import ctypes
import json
import os
import resource
import subprocess
import sys
import time

SET_CHILD_SUBREAPER = 36
"""Of `prctl`, from Linux' `prctl.h`."""


def measured(*words, threads=None):
    """Wall-clock and processor seconds of Python with ``words``, and its last line of output."""
    environment = {**os.environ}
    environment.pop("OMP_NUM_THREADS", None)
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    command = [sys.executable, __file__, sys.executable, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    outcome = json.loads(done.stdout)
    assert outcome["rc"] == 0, outcome["error"]
    return outcome


def main():
    ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    started = time.perf_counter()
    done = subprocess.run(sys.argv[1:], capture_output=True, text=True, check=False)
    wall = time.perf_counter() - started
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    last = done.stdout.strip().rpartition("\n")[2]
    outcome = {
        "rc": done.returncode,
        "wall": wall,
        "cpu": used.ru_utime + used.ru_stime,
        "last": last,
    }
    if done.returncode:
        outcome["error"] = done.stderr[-2000:]
    print(json.dumps(outcome))


if __name__ == "__main__":
    main()
