"""The file names of a run directory, known here alone."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class CellPaths:
    """The files of one cell."""

    directory: Path
    """``cells/<key>/``."""

    @property
    def cell(self) -> Path:
        """The resolved settings: the input of a worker."""
        return self.directory / "cell.json"

    @property
    def result(self) -> Path:
        """The outcome; written last, by rename, so its presence means done."""
        return self.directory / "result.json"

    @property
    def predictions(self) -> Path:
        """One line per test example."""
        return self.directory / "predictions.jsonl"

    @property
    def control(self) -> Path:
        """One line per item of the control set."""
        return self.directory / "control.jsonl"

    @property
    def train_log(self) -> Path:
        """One line per logged training step."""
        return self.directory / "train_log.jsonl"

    @property
    def adapter(self) -> Path:
        """The trained adapter in PEFT's format."""
        return self.directory / "adapter"

    @property
    def rows(self) -> Path:
        """Tokenized training rows, shared by the cells of the run."""
        return self.directory.parents[1] / "rows"

    @property
    def log(self) -> Path:
        """Everything the libraries printed."""
        return self.directory / "cell.log"


@dataclass(frozen=True)
class RunPaths:
    """The files of one run directory, ``runs/<suite>/``."""

    directory: Path

    def cell(self, key: str) -> CellPaths:
        """The files of the cell named ``key``."""
        return CellPaths(self.directory / "cells" / key)

    @property
    def cells(self) -> Path:
        """The folder of all cells."""
        return self.directory / "cells"

    @property
    def suite(self) -> Path:
        """The suite as it was run."""
        return self.directory / "suite.yaml"

    @property
    def plan(self) -> Path:
        """The cells of the last invocation in matrix order, and the skipped ones' reasons."""
        return self.directory / "plan.json"

    @property
    def environment(self) -> Path:
        """Packages, hardware and git revision."""
        return self.directory / "environment.json"


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as strict JSON under a temporary name, then rename it to ``path``."""
    write_text(path, json_text(value))


def json_text(value: Any) -> str:
    """``value`` as strict JSON, as every JSON file of a run directory is written."""
    return json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, as `write_bytes` does."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` under a temporary name in the same folder, then rename it to ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_json(path: Path) -> Any:
    """The JSON value in ``path``."""
    return json.loads(path.read_text(encoding="utf-8"))
