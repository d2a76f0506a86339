"""What a result counts on is on the disk before the result is; nothing else is waited for."""

import os
import sys
from pathlib import Path

import pytest

from harness.plan.plan import make_plan
from harness.results.paths import write_json
from harness.results.records import Environment
from harness.results.result import load_result
from harness.run.executors.in_process import _Listener
from harness.run.worker import run_cell

SUITE = """\
name: durable
matrix:
  model: [tiny-qwen2]
  adapter: [{name: a, config: {r: 4}}]
  dataset: [{name: ru-calculations, train: 8, test: 4}]
evaluation: {latency_prompts: 1, noise_examples: 2, control: everyday}
"""
SEEN: list[tuple[str, str]] | None = None


def _watch(event, arguments):
    if SEEN is not None and event == "os.rename":
        SEEN.append(("named", str(arguments[1])))


sys.addaudithook(_watch)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to know what was synced")
@pytest.mark.parametrize("adapter", ["base", "a"])
def test_a_result_comes_after_all_that_it_counts_on(write_suite, tmp_path, monkeypatch, adapter):
    global SEEN
    plan = make_plan(write_suite(SUITE), tmp_path / "out", backend="testing")
    decision = next(d for d in plan.decisions if d.cell.adapter == adapter)
    paths = plan.run.cell(decision.key)
    write_json(paths.cell, decision.job(Environment()))
    really = os.fsync

    def fsync(handle):
        SEEN.append(("synced", str(Path(f"/proc/self/fd/{handle}").readlink())))
        really(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    SEEN = []
    try:
        run_cell(paths, _Listener())
        seen = SEEN
    finally:
        SEEN = None
    named = seen.index(("named", str(paths.result)))
    synced = [Path(place) for what, place in seen[:named] if what == "synced"]
    result = load_result(paths.result)
    for name in result.companions:
        place = paths.directory / name
        for file in place.rglob("*") if place.is_dir() else [place]:
            renamed = [k for k, each in enumerate(seen) if each == ("named", str(file))]
            last = max(renamed, default=-1)
            after = [Path(p) for what, p in seen[last + 1 : named] if what == "synced"]
            assert file in after or file.name == "README.md", f"{file} was not waited for"
    assert paths.directory in synced  # their names
    assert seen[named + 1 :] == [("synced", str(paths.directory))]
    assert len(synced) + 1 <= {"base": 6, "a": 12}[adapter], synced
