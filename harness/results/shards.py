"""Run directories of one suite's parts, put together as one run directory."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import DamagedFile, HarnessError
from harness.results.companions import check_all
from harness.results.paths import CellPaths, RunPaths, write_json
from harness.results.reading import changed_meanwhile, read_plan
from harness.results.result import CellResult, load_result

Entry = Mapping[str, Any]


def join(runs: Sequence[Path], output: Path) -> dict[str, int]:
    """Copy the finished cells of ``runs`` into the new run directory ``output``.

    A cell that ended well in one run and failed or was skipped in another is taken where it ended
    well. Everything is checked before anything is copied.

    Returns:
        Counts by outcome: `ok`, `failed`, `skipped`, `missing`.

    Raises:
        HarnessError: ``output`` is there already, the runs are not of one suite, two of them have
            other results of the same cell, or a file of a result is damaged.
    """
    _refuse_output(runs, output)
    plans = [read_plan(run, given=str(run)) for run in runs]
    for run, plan in zip(runs, plans, strict=True):
        if plan["suite"].get("imported"):
            hint = "`harness report RUN_1 RUN_2 …` shows several runs together."
            raise HarnessError(
                "imported answers are no shard of a suite", where=str(run), hint=hint
            )
    for run, plan in zip(runs[1:], plans[1:], strict=True):
        _refuse_other_suite(runs[0], plans[0], run, plan)
    chosen = [
        _chosen([plan["cells"][number] for plan in plans], runs)
        for number in range(len(plans[0]["cells"]))
    ]
    counts = {"ok": 0, "failed": 0, "skipped": 0, "missing": 0}
    target = RunPaths(output)
    for entry, source, status in chosen:
        counts[status] += 1
        if source is not None:
            try:
                _copy(RunPaths(source).cell(entry["key"]), target.cell(entry["key"]))
            except BaseException:
                # the next attempt needs an empty directory; there may be no folder yet
                shutil.rmtree(target.cells, ignore_errors=True)
                raise
    for path in (target.suite, target.environment):
        shutil.copy2(runs[0] / path.name, path)
    write_json(target.plan, {**plans[0], "cells": [entry for entry, _, _ in chosen]})
    return counts


def _copy(source: CellPaths, target: CellPaths) -> None:
    """Copy a cell's folder, and look at the copy: its run may be going on.

    Raises:
        HarnessError: a file was replaced while it was copied.
    """
    before = load_result(source.result)
    try:
        shutil.copytree(source.directory, target.directory)
        copied = load_result(target.result)
        if copied is None or copied != before:
            raise changed_meanwhile(source.directory)
        check_all(target, copied.companions)
    except (FileNotFoundError, shutil.Error, DamagedFile):
        # it was whole a moment ago; `copytree` gathers files that went away in an error of its own
        if load_result(source.result) != before:
            raise changed_meanwhile(source.directory) from None
        raise


def _refuse_output(runs: Sequence[Path], output: Path) -> None:
    if len(runs) < 2:
        raise HarnessError("one run is nothing to merge", hint="Name the directory of each shard.")
    if output.exists() and any(output.iterdir()):
        hint = "Name a new directory: cells that are there already would be mixed with these."
        raise HarnessError("the output directory is not empty", where=str(output), hint=hint)
    output.mkdir(parents=True, exist_ok=True)


def _refuse_other_suite(first: Path, expected: Entry, run: Path, plan: Entry) -> None:
    """Refuse ``run`` if it was not planned from the same cells as the ``first`` one."""
    there = [(entry["key"], entry["fingerprint"]) for entry in expected["cells"]]
    here = [(entry["key"], entry["fingerprint"]) for entry in plan["cells"]]
    if here == there and plan["suite"]["name"] == expected["suite"]["name"]:
        return
    other = next((a[0] for a, b in zip(here, there, strict=False) if a != b), "its number of cells")
    what = f"is not of the same suite as {first}: {other} differs"
    hint = (
        "Run every shard with the same suite, data, models (`rsync -a` keeps the times of large"
        " files, which count) and version of harness, without --select."
    )
    raise HarnessError(what, where=str(run), hint=hint)


def _chosen(entries: Sequence[Entry], runs: Sequence[Path]) -> tuple[Entry, Path | None, str]:
    """The plan's entry of a cell, the run to take it from, and its status."""
    found: list[tuple[Entry, Path, CellResult]] = []
    for entry, run in zip(entries, runs, strict=True):
        paths = RunPaths(run).cell(entry["key"])
        result = load_result(paths.result)
        if result is not None and result.fingerprint == entry["fingerprint"]:
            check_all(paths, result.companions)
            found.append((entry, run, result))
    done = [item for item in found if item[2].status == "ok"]
    if len(done) > 1 and any(item[2] != done[0][2] for item in done[1:]):
        where = " and ".join(str(run) for _, run, _ in done)
        hint = "Delete the cell's folder in the one whose result is not to count."
        raise HarnessError(f"two results of {done[0][0]['key']}", where=where, hint=hint)
    if done or found:
        entry, run, result = (done or found)[0]
        return {**entry, "skip": None}, run, result.status
    # only the machine that a cell falls to says why it cannot run there
    skipped = next((entry for entry in entries if entry["skip"]), None)
    return (entries[0], None, "missing") if skipped is None else (skipped, None, "skipped")
