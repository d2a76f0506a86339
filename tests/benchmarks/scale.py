"""What scheduling costs: thousands of stub cells on a local Ray cluster, and plans of a hundred thousand.

    python tests/benchmarks/scale.py run --cells 10001 --nodes 2 -o scale.json
    python tests/benchmarks/scale.py plan --cells 100001 -o scale.json
    python tests/benchmarks/scale.py report --cells 100001 -o scale.json

The cells are those of the testing backend: no model, some milliseconds each. Overhead is the wall
time of a cell's share, less the cell's own seconds divided by those that run side by side.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import psutil

SUITE = """\
name: scale
matrix:
  model: [tiny-qwen2]
  adapter: [ADAPTERS]
  dataset: [{name: ru-calculations, train: 8, test: 4}]
  seed: [SEEDS]
evaluation: {latency_prompts: 0, noise_examples: 0}
"""
OBJECTS = 200 * 2**20
"""Bytes of each node's object store: cells of some kilobytes."""


def suite_in(folder: Path, cells: int) -> Path:
    (folder / "models").symlink_to(Path(__file__).resolve().parents[2] / "models")
    path = folder / "suite.yaml"
    adapters = next(count for count in (100, 10, 1) if (cells - 1) % count == 0 or count == 1)
    names = (f"{{name: a{number}, config: {{r: {number + 1}}}}}" for number in range(adapters))
    seeds = map(str, range((cells - 1) // adapters))  # the baseline is a cell, too
    text = SUITE.replace("ADAPTERS", ", ".join(names)).replace("SEEDS", ", ".join(seeds))
    path.write_text(text)
    return path


def planned(cells: int) -> dict[str, object]:
    """Seconds and peak memory of a plan in a process of its own."""
    code = (
        "import sys, time, resource, harness\n"
        "began = time.monotonic()\n"
        "plan = harness.plan(sys.argv[1], output=sys.argv[2], backend='testing')\n"
        "seconds = time.monotonic() - began\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "cpu = used.ru_utime + used.ru_stime\n"
        "print(len(plan.decisions), seconds, cpu, used.ru_maxrss / 1024)\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        suite = suite_in(Path(folder), cells)
        words = [sys.executable, "-c", code, str(suite), str(Path(folder) / "run")]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    number, *rest = done.stdout.split()
    names = ("seconds", "cpu_seconds", "peak_mib")
    return {"cells": int(number), **dict(zip(names, map(float, rest), strict=True))}


def reported(cells: int, keep: Path | None) -> dict[str, object]:
    """What a report on so many cells takes; ``keep``: the folder of the run, to be used again."""
    from scale_report import SEEDS, reported

    with tempfile.TemporaryDirectory(dir=keep and keep.parent) as folder:
        (Path(folder) / "few").mkdir()
        adapters = min(100, cells - 1)
        few = suite_in(Path(folder) / "few", adapters * SEEDS + 1)
        found = reported(suite_in(Path(folder), cells), few, keep or Path(folder) / "run")
    return {"cells": cells, **found}


def scheduled(cells: int, nodes: int, cpus: int) -> dict[str, object]:
    """Seconds of each cell on a Ray cluster of ``nodes`` on this machine; the driver's memory."""
    import ray
    from ray.cluster_utils import Cluster

    import harness
    from harness.results.result import load_result
    from harness.run.executors.base import executor_of
    from harness.run.runner import run_suite

    size = {"num_cpus": cpus, "object_store_memory": OBJECTS}
    cluster = Cluster(initialize_head=True, head_node_args={**size, "include_dashboard": False})
    for _ in range(nodes - 1):
        cluster.add_node(**size)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    try:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "run"
            plan = harness.plan(
                suite_in(Path(folder), cells), output=out, executor="ray", backend="testing"
            )
            watched = _Watch()
            counts = run_suite(plan, executor_of("ray"), watched)
            wall = watched.seconds()
            results = [load_result(p) for p in out.glob("cells/*/result.json")]
            own = [r.timings["total"] for r in results if r is not None]
        slots = nodes * cpus
        mean = sum(own) / len(own)
        return {
            "cells": cells, "nodes": nodes, "slots": slots, "counts": counts,
            "wall_seconds": wall, "first_cell_seconds": watched.first,
            "cell_seconds": mean,
            "overhead_ms": 1000 * (wall / (cells - 1) - mean / slots),
            "driver_mib": watched.memory,
            "driver_cpu_ms": 1000 * watched.driver / (cells - 1),
            "all_cpu_ms": 1000 * watched.everything / (cells - 1),
        }  # fmt: skip
    finally:
        ray.shutdown()
        cluster.shutdown()


def page(found: list[dict]) -> str:
    """The measurements in Markdown, the hardware of each named."""
    from placing_report import section

    runs = [one for one in found if one["what"] == "run"]
    lines = [
        "# Scale: scheduling and planning",
        "",
        "Stub cells of the testing backend: no model, so that what is left is the harness's and Ray's own work.",
        "Commands: `python tests/benchmarks/scale.py plan --cells 100001 -o reports/benchmarks/scale.json`, the same with",
        "`run --cells 10001 --nodes 2`, and `page` for this file. Load is the mean of runnable processes over the last",
        "minute, after the measurement: on a machine with other work, wall times are those of a part of it.",
        "",
        "## Scheduling on Ray",
        "",
        "A local cluster by `ray.cluster_utils`. Overhead is the wall time of a cell's share, less the cell's own",
        "seconds in its process divided by the cells that run side by side.",
        "",
        "| cells | nodes | at once | wall s | a cell's own s | overhead ms | processor ms a cell, all | driver's | driver MiB, from first to last | machine | load |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    if not runs:
        lines = [*lines[:-2], "Not measured yet: the machine at hand had other work on it."]
    for one in runs:
        memory = f"{one['driver_mib'][0]:.0f} to {one['driver_mib'][-1]:.0f}"
        lines.append(
            f"| {one['cells']:,} | {one['nodes']} | {one['slots']} | {one['wall_seconds']:.0f} |"
            f" {one['cell_seconds']:.2f} | {one['overhead_ms']:.0f} | {_ms(one, 'all_cpu_ms')} |"
            f" {_ms(one, 'driver_cpu_ms')} | {memory} | {_name(one)} |"
            f" {_load(one)} |"
        )
    if runs and min(one["cells"] for one in runs) < 10_000:
        lines += [
            "",
            "The goal is 50 ms a cell and a flat memory of the driver for 10,000 cells on a machine of its own. A run of",
            "fewer cells does not show how memory goes on, and one under load shows the load's overhead as well.",
        ]  # fmt: skip
    lines += ["", "## Planning", "", "| cells | wall s | processor s | peak MiB | machine | load |"]
    lines += ["| --- | --- | --- | --- | --- | --- |"]
    for one in (f for f in found if f["what"] == "plan"):
        lines.append(
            f"| {one['cells']:,} | {one['seconds']:.0f} | {one['cpu_seconds']:.1f} |"
            f" {one['peak_mib']:.0f} | {_name(one)} | {_load(one)} |"
        )
    lines += _reports([one for one in found if one["what"] == "report"])
    lines += section(found)
    return "\n".join(lines) + "\n"


def _reports(found: list[dict]) -> list[str]:
    if not found:
        return []
    lines = [
        "",
        "## Reporting",
        "",
        "The cells of three seeds are run; every other seed has the result of one of them under its own key.",
        "",
        "| cells | wall s | processor s | peak MiB | page MiB | machine | load |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    for one in found:
        lines.append(
            f"| {one['cells']:,} | {one['seconds']:.0f} | {one['cpu_seconds']:.1f} |"
            f" {one['peak_mib']:.0f} | {one['page_mib']:.1f} | {_name(one)} | {_load(one)} |"
        )
    return lines


def _ms(one: dict, name: str) -> str:
    return f"{one[name]:.0f}" if name in one else "not noted"


def _load(one: dict) -> str:
    return f"{one['load']:.1f}" if "load" in one else "not noted"


def _name(one: dict) -> str:
    machine = one["machine"]
    return str(machine["gpu"] or f"{machine['cpu']}, {machine['cores']} cores, no GPU")


class _Watch:
    """The clock and the driver's memory, from the first finished cell on.

    Until then each node's process imports the libraries, once.
    """

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.first: float | None = None
        self.last = self.began
        self.ended = 0
        self.memory: list[float] = []
        self.cpu = (0.0, 0.0)
        self.driver = self.everything = 0.0
        """Processor seconds from the first finished cell to the last."""

    def __call__(self, event) -> None:
        if not event.is_end:
            return
        self.ended += 1
        self.last = time.monotonic()
        if self.first is None:
            self.first = self.last - self.began
            self.cpu = _processor_seconds()
        if self.ended & (self.ended - 1) == 0 or self.ended % 1000 == 0:
            self.memory.append(round(psutil.Process().memory_info().rss / 2**20, 1))

    def seconds(self) -> float:
        driver, family = _processor_seconds()
        self.driver = driver - self.cpu[0]
        self.everything = self.driver + family - self.cpu[1]
        return self.last - self.began - (self.first or 0.0)


def _processor_seconds() -> tuple[float, float]:
    """Those of this process, and of all that it started: Ray's nodes, their workers, the cells."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            total += sum(process.cpu_times()[:4])  # the latter two: of children that have ended
    return time.process_time(), total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("run", "plan", "report", "page"))
    parser.add_argument("--cells", type=int, default=10_001)
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--cpus", type=int, default=1, help="processors of each node")
    parser.add_argument("--keep", type=Path, help="folder of the run that is reported on")
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    from harness.plan.machine import machine

    if given.what == "page":
        given.output.with_suffix(".md").write_text(page(json.loads(given.output.read_text())))
        return
    if given.what == "run":
        found = scheduled(given.cells, given.nodes, given.cpus)
    elif given.what == "plan":
        found = planned(given.cells)
    else:
        found = reported(given.cells, given.keep)
    found = {"what": given.what, "machine": asdict(machine()), **found}
    found["load"] = psutil.getloadavg()[0]
    found["process_peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(found, indent=1))
    if given.output:
        before = json.loads(given.output.read_text()) if given.output.exists() else []
        given.output.write_text(json.dumps([*before, found], indent=1) + "\n")


if __name__ == "__main__":
    main()
