"""Trackio: a run for each cell in the group of the run, and one with the tables.

Its own environment variables decide where it goes (`TRACKIO_DIR`, `TRACKIO_SPACE_ID`);
`TRACKIO_PROJECT` names the project, without it the suite does.
"""

from __future__ import annotations

import os

import trackio
from pandas import DataFrame

from harness.trackers.messages import Ending, Handle, TrackedRun
from harness.trackers.scalars import result_numbers, step_numbers


def open_run(run: TrackedRun) -> TrackioRun:
    """A run in the group of the harness's run."""
    return TrackioRun(run)


class TrackioRun:
    """One run of Trackio."""

    def __init__(self, run: TrackedRun) -> None:
        self._project = os.environ.get("TRACKIO_PROJECT") or run.suite
        self._name = run.name
        self._run = trackio.init(
            project=self._project,
            name=run.name,
            group=run.group,
            space_id=os.environ.get("TRACKIO_SPACE_ID"),
            config=dict(run.config),
            resume="allow" if run.earlier else "never",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def log(self, step: int, numbers: dict[str, float]) -> None:
        """Add numbers of a step."""
        self._run.log(step_numbers(numbers), step=step)

    def end(self, ending: Ending) -> Handle:
        """Add results and tables, and close the run."""
        shown: dict[str, object] = dict(result_numbers(ending.metrics))
        for name, table in ending.tables.items():
            shown[name] = trackio.Table(dataframe=DataFrame(table.rows, columns=table.columns))
        for name, text in ending.texts.items():
            shown[name] = trackio.Markdown(text)
        if shown:
            self._run.log(shown, step=ending.step)
        trackio.finish()
        return {"project": self._project, "name": self._run.name or self._name}
