"""A finished run at experiment trackers: the table of all cells, the decision and the page.

A cell is tracked by its worker while it runs. What has no run at a tracker yet (the cell was done
before the suite named the tracker, or on a node whose files stayed there) is sent from its files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from harness.analysis.decision import decisions
from harness.analysis.leaderboard import Leaderboard
from harness.report.markdown import escaped
from harness.report.sections.verdict import verdict_notes
from harness.results.answers import log_of
from harness.results.paths import CellPaths, RunPaths, read_json, write_json
from harness.results.result import CellResult
from harness.results.run import Run
from harness.results.state import state_of
from harness.results.tidy import TIDY_COLUMNS, tidy_rows
from harness.run.tracking import run_of_cell, settings_of, tell_of
from harness.trackers.client import Tracking
from harness.trackers.messages import Ending, Handle, Scalar, TableOf, TrackedRun

SUMMARY = "summary.json"
"""Under ``trackers/``: tracker → the state of the run that it was told of, and how it is found."""
FILES = {
    "report/index.html": "leaderboard.html",
    "report/leaderboard.md": "leaderboard.md",
    "report/results.csv": "results.csv",
}
"""Name at the tracker → file of the report."""


def is_tracked(directory: Path, names: Sequence[str]) -> bool:
    """Whether each of the trackers ``names`` was told of the run as it is now."""
    if not names:
        return True
    told = _told(RunPaths(directory))
    state = state_of(directory)
    return all(told.get(name, {}).get("state") == state for name in names)


def track(board: Leaderboard, names: Sequence[str], *, report: Path) -> list[str]:
    """Tell the trackers ``names`` of a finished run; what went wrong, one line each.

    Args:
        board: The leaderboard of the run.
        names: The trackers.
        report: The folder of the rendered report.
    """
    run, paths = board.run, RunPaths(board.run.directory)
    paths.trackers.mkdir(exist_ok=True)
    told, warnings = _told(paths), list[str]()
    with (paths.trackers / "trackers.log").open("ab") as output:
        for name in names:
            handles, problems = _cells(run, name, output)
            summary = Tracking([name], output=output)
            summary.start(_summary(run, told.get(name, {}).get("handle", {})))
            summary.end(_ending(board, report, handles))
            ended = summary.close()
            warnings += dict.fromkeys([*problems, *ended.warnings])
            if not problems and not ended.warnings:
                told[name] = {"state": state_of(run.directory), "handle": ended.handles[name][0]}
    write_json(paths.trackers / SUMMARY, told)
    return warnings


def _told(paths: RunPaths) -> dict[str, dict[str, object]]:
    return _noted(paths.trackers / SUMMARY)


def _noted(path: Path) -> dict[str, Any]:
    """What ``path`` holds for each tracker."""
    try:
        found = read_json(path)
    except (OSError, ValueError):
        return {}  # nobody was told, or the note is damaged: telling again costs seconds
    return found if isinstance(found, dict) else {}


def _cells(run: Run, name: str, output: IO[bytes]) -> tuple[list[Handle], list[str]]:
    """The runs of the cells at the tracker ``name``; those that are not there yet are sent."""
    done = [cell for cell in run.cells if cell.status == "ok"]
    missing = [cell for cell in done if _handle(run, cell, name) is None]
    problems: list[str] = []
    if missing:
        tracking = Tracking([name], output=output)
        for cell in missing:
            tracking.start(_run_of(run, cell))
            tell_of(tracking, log_of(cell, run.paths(cell)), cell)
        ended = tracking.close()
        problems = ended.warnings
        for cell, handle in zip(missing, ended.handles.get(name, []), strict=False):
            paths = run.paths(cell)
            write_json(paths.tracking, {**_handles(paths), name: handle})
    found = (_handle(run, cell, name) for cell in done)
    return [handle for handle in found if handle is not None], problems


def _handle(run: Run, cell: CellResult, name: str) -> Handle | None:
    handle = _handles(run.paths(cell)).get(name)
    boards = RunPaths(run.directory).trackers / "tensorboard"
    if name == "tensorboard" and not (boards / cell.key).is_dir():
        return None  # it stayed on the node that ran the cell
    uri = handle.get("uri", "") if handle else ""
    if uri.startswith("file:") and not Path(unquote(urlsplit(uri).path)).is_dir():
        return None  # so did MLflow's files
    return handle


def _handles(paths: CellPaths) -> dict[str, Handle]:
    return _noted(paths.tracking)


def _run_of(run: Run, cell: CellResult) -> TrackedRun:
    settings = settings_of(cell.axes, {"cell": cell.provenance.cell})
    paths = RunPaths(run.directory)
    return run_of_cell(cell.key, paths, suite=str(run.suite["name"]), settings=settings)


def _summary(run: Run, earlier: object) -> TrackedRun:
    paths = RunPaths(run.directory.resolve())
    name = paths.directory.name
    return TrackedRun(
        name=name, suite=str(run.suite["name"]), group=name, folder=str(paths.trackers),
        is_summary=True, earlier=earlier if isinstance(earlier, dict) else {},
    )  # fmt: skip


def _ending(board: Leaderboard, report: Path, children: list[Handle]) -> Ending:
    counts = Counter(cell.status for cell in board.run.cells)
    results = TableOf(list(TIDY_COLUMNS), [_plain(row) for row in tidy_rows(board.run)])
    made = decisions(board)
    columns = ["data set", "metric", "outcome", "headline"]
    rows: list[list[Scalar]] = [[d.dataset, d.metric, d.outcome, d.headline] for d in made]
    sentences = [text for each in made for text in each.sentences()]
    sentences += [note for table in board.tables for note in verdict_notes(table)]
    return Ending(
        ok=not counts["failed"],
        metrics={f"cells_{status}": float(number) for status, number in sorted(counts.items())},
        texts={"verdict": "\n".join(f"- {escaped(text)}" for text in sentences)},
        tables={"decisions": TableOf(columns, rows), "results": results},
        files={n: str(report / file) for n, file in FILES.items() if (report / file).is_file()},
        children=children,
    )


def _plain(row: Sequence[object]) -> list[Scalar]:
    return [v if isinstance(v, str | int | float | bool) or v is None else str(v) for v in row]
