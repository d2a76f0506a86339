"""Weights & Biases: a run for each cell in the group of the run, and one with tables and the page.

W&B's own environment variables decide where it goes (`WANDB_PROJECT`, `WANDB_ENTITY`,
`WANDB_MODE`); without `WANDB_DIR` its files are under ``RUN/trackers/wandb``.
"""

from __future__ import annotations

import os
from pathlib import Path

import wandb

from harness.trackers.messages import Ending, Handle, TrackedRun
from harness.trackers.scalars import result_numbers, step_numbers

STEP = "train/global_step"
"""What transformers' callback draws everything over."""


def open_run(run: TrackedRun) -> WandbRun:
    """A run in the group of the harness's run."""
    return WandbRun(run)


class WandbRun:
    """One run of W&B."""

    def __init__(self, run: TrackedRun) -> None:
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or run.suite,
            group=os.environ.get("WANDB_RUN_GROUP") or run.group,
            job_type="summary" if run.is_summary else "cell",
            name=run.name,
            id=run.earlier.get("id"),
            resume="allow" if run.earlier else None,
            dir=os.environ.get("WANDB_DIR") or run.folder,
            config=dict(run.config),
            # the machine's load says nothing of a cell where several share it, and asking for it
            # would disturb the measurement of latency
            settings=wandb.Settings(silent=True, console="off", x_disable_stats=True),
        )
        self._run.define_metric(STEP)
        self._run.define_metric("*", step_metric=STEP, step_sync=True)

    def log(self, step: int, numbers: dict[str, float]) -> None:
        """Add numbers of a step."""
        self._run.log({**step_numbers(numbers), STEP: step})

    def end(self, ending: Ending) -> Handle:
        """Add results, tables and the page, and close the run."""
        numbers = result_numbers(ending.metrics)
        if "eval/loss" in numbers:
            self._run.log({"eval/loss": numbers["eval/loss"], STEP: ending.step})
        self._run.summary.update(numbers)
        shown: dict[str, object] = {
            name: wandb.Table(columns=table.columns, data=table.rows)
            for name, table in ending.tables.items()
        }
        shown |= {
            name: wandb.Html(Path(path).read_text("utf-8"))
            for name, path in ending.files.items()
            if name.endswith(".html")
        }
        if shown:
            self._run.log(shown)
        if ending.texts:
            self._run.notes = "\n\n".join(ending.texts.values())
        handle = {"id": self._run.id, "project": self._run.project}
        self._run.finish(exit_code=0 if ending.ok else 1)
        return handle
