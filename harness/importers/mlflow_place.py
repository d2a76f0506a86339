"""Where runs of MLflow are: a tracking server, or a local folder of its files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.registry import did_you_mean

SCHEME = "mlflow:"
"""What a source on a server begins with; the name of an experiment or the id of a run follows."""
ALLOW_FILES = "MLFLOW_ALLOW_FILE_STORE"
"""Without it MLflow 3 opens no folder of plain files."""


def recognises(source: str | Path) -> bool:
    """Whether ``source`` is `mlflow:NAME`, or a folder of MLflow: a store, an experiment, a run."""
    text, path = str(source), Path(source)
    if text.startswith(SCHEME):
        return True
    if not path.is_dir():
        return False
    return (path / "meta.yaml").is_file() or any(path.glob("*/meta.yaml"))


@contextmanager
def files_allowed() -> Iterator[None]:
    """Let MLflow open folders of plain files, unless the user has said otherwise."""
    before = os.environ.get(ALLOW_FILES)
    os.environ.setdefault(ALLOW_FILES, "true")
    try:
        yield
    finally:
        if before is None:
            del os.environ[ALLOW_FILES]


@dataclass(frozen=True)
class Place:
    """A store, and which of its runs are meant."""

    source: str
    client: Any
    experiments: Mapping[str, str]
    """Experiment id → its name."""
    run_id: str | None = None

    def runs(self) -> Iterator[Any]:
        """The runs, oldest first."""
        if self.run_id:
            yield self.client.get_run(self.run_id)
            return
        page = None
        while True:
            part = self.client.search_runs(
                list(self.experiments), order_by=["start_time ASC"], page_token=page
            )
            yield from part
            page = part.token
            if not page:
                return


def place_of(source: str) -> Place:
    """The store that ``source`` names, with the experiments or the run that are meant.

    Raises:
        HarnessError: no server is named, or it has neither such an experiment nor such a run.
    """
    from mlflow import MlflowClient

    if not source.startswith(SCHEME):
        return _folder(Path(source))
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        hint = "Set it to the server's address; a folder of files is given by its path."
        raise HarnessError("MLFLOW_TRACKING_URI is not set", where=source, hint=hint)
    client = MlflowClient(uri)
    name = source.removeprefix(SCHEME)
    there = {e.experiment_id: e.name for e in client.search_experiments()}
    named = {i: n for i, n in there.items() if name in (i, n)}
    if named:
        return Place(source, client, named)
    try:
        run = client.get_run(name)
    except Exception:  # which error an unknown id gives depends on the store
        raise HarnessError(
            f'no experiment and no run "{name}"', where=source,
            hint=did_you_mean(name, there.values()),
        ) from None  # fmt: skip
    experiment = run.info.experiment_id
    return Place(source, client, {experiment: there.get(experiment, experiment)}, name)


def _folder(path: Path) -> Place:
    """The store that ``path`` is, or that it is an experiment or a run of."""
    from mlflow import MlflowClient

    path = path.resolve()
    is_run = (path / "params").is_dir() or (path / "metrics").is_dir()
    root = path if not (path / "meta.yaml").is_file() else path.parents[1 if is_run else 0]
    client = MlflowClient(root.as_uri())
    there = {e.experiment_id: e.name for e in client.search_experiments()}
    if root == path:
        return Place(str(path), client, there)
    experiment = path.parent.name if is_run else path.name
    named = {experiment: there.get(experiment, experiment)}
    return Place(str(path), client, named, path.name if is_run else None)
