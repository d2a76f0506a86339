"""MLflow: a run for each cell, and one that they are nested in, which holds tables and the page.

The client API alone, which has no run that is "active" in the process. Names of metrics are those
of transformers' callback for MLflow, which gives them no `train/`: `loss`, `learning_rate`.

Without `MLFLOW_TRACKING_URI` the runs are files under ``RUN/trackers/mlruns``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.utils.validation import MAX_PARAM_VAL_LENGTH, MAX_PARAMS_TAGS_PER_BATCH

from harness.trackers.messages import Ending, Handle, TrackedRun
from harness.trackers.scalars import RESULT

PARENT = "mlflow.parentRunId"
"""The tag that nests a run in another one."""
_UNFIT = re.compile(r"[^0-9A-Za-z_\-. :/]")
"""What MLflow takes in no name of a metric."""


def open_run(run: TrackedRun) -> MlflowRun:
    """A new run of the experiment, or the summary that there is already."""
    return MlflowRun(run)


class MlflowRun:
    """One run of MLflow."""

    def __init__(self, run: TrackedRun) -> None:
        self._uri = os.environ.get("MLFLOW_TRACKING_URI") or (
            Path(run.folder).resolve().joinpath("mlruns").as_uri()
        )
        self._client = MlflowClient(tracking_uri=self._uri)
        self._experiment = self._experiment_of(run)
        self._id = run.earlier.get("run_id") or self._created(run)
        if run.earlier:
            self._client.update_run(self._id, status="RUNNING")

    def log(self, step: int, numbers: dict[str, float]) -> None:
        """Add metrics of a step."""
        self._metrics(numbers, step)

    def end(self, ending: Ending) -> Handle:
        """Add results, tables and files, nest the cells' runs in this one, and close it."""
        named = {f"{RESULT}/{name}": value for name, value in ending.metrics.items()}
        if "eval_loss" in ending.metrics:
            named["eval_loss"] = ending.metrics["eval_loss"]
        self._metrics(named, ending.step)
        for name, table in ending.tables.items():
            columns = {
                column: [row[k] for row in table.rows] for k, column in enumerate(table.columns)
            }
            self._client.log_table(self._id, columns, f"tables/{name}.json")
        for name, text in ending.texts.items():
            self._client.log_text(self._id, text, f"report/{name}.md")
        self._files(ending.files)
        for child in ending.children:
            self._client.set_tag(child["run_id"], PARENT, self._id)
        self._client.set_terminated(self._id, "FINISHED" if ending.ok else "FAILED")
        return {
            "run_id": self._id,
            "experiment_id": self._experiment,
            "uri": _without_password(self._uri),
        }

    def _experiment_of(self, run: TrackedRun) -> str:
        given = os.environ.get("MLFLOW_EXPERIMENT_ID")
        if given:
            return given
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or run.suite
        # workers start together: without the lock a store of files would get two of one name
        with FileLock(Path(run.folder) / ".mlflow.lock"):
            found = self._client.get_experiment_by_name(name)
            return str(found.experiment_id if found else self._client.create_experiment(name))

    def _created(self, run: TrackedRun) -> str:
        kind = "summary" if run.is_summary else "cell"
        tags = {
            **json.loads(os.environ.get("MLFLOW_TAGS") or "{}"),
            "harness.suite": run.suite,
            "harness.run": run.group,
            f"harness.{kind}": run.name,
        }
        made = self._client.create_run(self._experiment, tags=tags, run_name=run.name)
        given = [
            Param(_UNFIT.sub("_", name), str(value)[:MAX_PARAM_VAL_LENGTH])
            for name, value in run.config.items()
        ]
        for start in range(0, len(given), MAX_PARAMS_TAGS_PER_BATCH):
            part = given[start : start + MAX_PARAMS_TAGS_PER_BATCH]
            self._client.log_batch(made.info.run_id, params=part)
        return str(made.info.run_id)

    def _metrics(self, numbers: Mapping[str, float], step: int) -> None:
        now = int(time.time() * 1000)
        batch = [Metric(_UNFIT.sub("_", name), value, now, step) for name, value in numbers.items()]
        if batch:
            self._client.log_batch(self._id, metrics=batch)

    def _files(self, files: Mapping[str, str]) -> None:
        """Upload ``files`` under their names for MLflow, which keeps the name of a file."""
        if not files:
            return
        with tempfile.TemporaryDirectory() as folder:
            for name, path in files.items():
                target = Path(folder) / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
            self._client.log_artifacts(self._id, folder)


def _without_password(uri: str) -> str:
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
