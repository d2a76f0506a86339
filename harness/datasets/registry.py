"""Built-in data sets by name: a file beside this one registers its own with `@dataset`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Literal

from harness.datasets.file_hash import file_hash
from harness.datasets.table import RawRow, Table
from harness.errors import HarnessError
from harness.metrics.registry import default_primary
from harness.registry import Registry
from harness.suite.dataset_entry import DatasetEntry

ALPACA_COLUMNS = {"prompt": "instruction", "context": "input", "reference": "output"}
LABEL_COLUMNS = {"prompt": "text", "reference": "label"}
Rows = Callable[[DatasetEntry], Sequence[RawRow] | Table]


@dataclass(frozen=True, kw_only=True)
class DatasetSource:
    """Where rows come from, and what is known of them."""

    name: str
    version: int = 1
    """Rises when the rows or their reading change; part of a cell's fingerprint."""
    rows: Rows
    """The raw rows, given the suite's entry."""
    task: Literal["generation", "classification", "lm_eval"] = "generation"
    language: Literal["en", "ru"] = "en"
    labels: tuple[str, ...] = ()
    primary_metric: str = "rougeL"
    needs_network: bool = False
    columns: Mapping[str, str]
    """Our field → the column."""
    detects_columns: bool = False
    """Whether the columns are looked for in the rows where the suite names none."""
    group_by: str = "prompt"
    files: tuple[Path, ...] = ()
    """The files that the rows are read from; their bytes are part of a cell's fingerprint."""
    generated: bool = False
    """Whether `rows` of the suite is the number to generate, not to sample."""

    @property
    def content(self) -> str:
        """What identifies the rows of a built-in set: its name, version and files."""
        return "/".join([self.name, f"v{self.version}", *map(file_hash, self.files)])


DATASETS: Registry[DatasetSource] = Registry("data set")


def dataset(
    name: str,
    *,
    version: int,
    columns: Mapping[str, str] | None = None,
    labels: tuple[str, ...] = (),
    language: Literal["en", "ru"] = "en",
    primary_metric: str | None = None,
    group_by: str = "prompt",
    files: Sequence[str] = (),
    generated: bool = False,
    needs_network: bool = False,
) -> Callable[[Rows], Rows]:
    """Register a function as the rows of the data set ``name``; in a suite: `dataset: [name]`.

    Works from any package: import the module (a plug-in is imported) before the suite is planned.

    Args:
        name: The name on the `dataset` axis.
        version: Raise it when the rows change: results of older versions are then run again.
        columns: Our field → the key in a row; default `instruction`, `input`, `output`, or for
            a set with labels `text`, `label`.
        labels: The labels of a classification set, in the order of the confusion matrix.
        language: The language of number formats and trivial answers.
        primary_metric: Default: that of the task, `rougeL` or for labels `f1_macro`.
        group_by: `prompt`, `reference` or a key: rows equal in it never cross the split.
        files: Files that are read, from the folder of the module; hashed into the fingerprint.
        generated: Whether the rows are made by code, as many as the suite's `rows` asks for.
        needs_network: Whether the rows are on the hub.

    Raises:
        HarnessError: the name is taken, or a file is absent.
    """

    def register(rows: Rows) -> Rows:
        if name in DATASETS:
            raise HarnessError(f'the data set "{name}" is registered twice', hint="Rename one.")
        task: Literal["generation", "classification"]
        task = "classification" if labels else "generation"
        default = LABEL_COLUMNS if labels else ALPACA_COLUMNS
        found = DatasetSource(
            name=name, version=version, rows=rows, labels=labels, language=language,
            task=task, primary_metric=primary_metric or default_primary(task),
            columns=dict(columns or default), group_by=group_by, generated=generated,
            files=_beside(rows, files), needs_network=needs_network,
        )  # fmt: skip
        DATASETS.add(name, found)
        return rows

    return register


def built_in() -> Registry[DatasetSource]:
    """Every registered data set; the modules of this package are imported on the first call."""
    _import_all()
    return DATASETS


@cache
def _import_all() -> None:
    # A new built-in set is its own file and nothing else, so the files are found, not listed.
    package = sys.modules[__package__]
    for module in iter_modules(package.__path__):
        import_module(f"{__package__}.{module.name}")


def _beside(rows: Rows, names: Sequence[str]) -> tuple[Path, ...]:
    if not names:
        return ()
    folder = Path(str(sys.modules[rows.__module__].__file__)).parent
    paths = tuple(folder / name for name in names)
    for path in paths:
        if not path.is_file():
            raise HarnessError(f"no file {path}", hint="`files` start from the module's folder.")
    return paths
