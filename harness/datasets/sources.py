"""Where the rows of a data set come from: a built-in set, a file or the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.datasets.file_hash import file_hash
from harness.datasets.lm_eval_task import describe_task
from harness.datasets.registry import (
    ALPACA_COLUMNS,
    LABEL_COLUMNS,
    DatasetSource,
    Rows,
    built_in,
)
from harness.datasets.table import RawRow, Table
from harness.datasets.table_file import ADVICE, FORMATS, kind_of, read_table
from harness.errors import HarnessError, SkipCell
from harness.extras import how, is_installed
from harness.metrics.registry import default_primary
from harness.registry import did_you_mean
from harness.suite.dataset_entry import DatasetEntry
from harness.user_path import expanded

HUB_KEYS = ("config", "train_split", "revision")
TEXT_KEYS = ("encoding", "separator")


def source_of(entry: DatasetEntry, folder: Path) -> DatasetSource:
    """The source that ``entry`` names: a built-in set, a file under ``folder``, or a hub id.

    Raises:
        HarnessError: there is no such set or file, or its kind is unknown.
    """
    name = entry.source or entry.name
    if entry.lm_eval_task is not None:
        return _lm_eval(entry, folder)
    if name in built_in():
        source = built_in().get(name)
        _refuse_keys(entry, hub=source.needs_network, file=False)
        return source
    if kind_of(name):
        path = _file(entry, name, folder)
        _refuse_keys(entry, hub=False, file=True)
        return _table(entry, name, lambda e: _read(e, path), files=(path,))
    advice = ADVICE.get(Path(name).suffix.lower())
    if advice:
        text = f'data set "{entry.name}": {Path(name).suffix} files are not read'
        raise HarnessError(text, where=name, hint=advice)
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        _refuse_keys(entry, hub=True, file=False)
        return _table(entry, name, lambda e: hub_rows(name, e), needs_network=True)
    kinds = ", ".join(FORMATS)
    raise HarnessError(
        f'data set "{entry.name}": unknown source "{name}"',
        hint=f"{did_you_mean(name, built_in())} A file ({kinds}) or a hub id (owner/name) works.",
    )


def _lm_eval(entry: DatasetEntry, folder: Path) -> DatasetSource:
    """A task of lm-evaluation-harness: it is asked and scored by the tool, and has no raw rows."""
    task = describe_task(entry, folder)

    def no_rows(_: DatasetEntry) -> Table:
        raise AssertionError("`prepare` reads a task's documents by the tool")

    return DatasetSource(
        name=task.hub[0].partition("@")[0] if task.hub else f"lm_eval:{task.name}",
        rows=no_rows, task="lm_eval", primary_metric=task.primary_metric,
        needs_network=bool(task.hub), columns={}, files=task.files,
    )  # fmt: skip


def entry_of_test(entry: DatasetEntry) -> DatasetEntry | None:
    """The entry of the test rows, where they have a file or a split of their own."""
    if entry.test_source is None and entry.test_split is None:
        return None
    split = entry.test_split
    if entry.test_source is None:
        return entry.model_copy(update={"train_split": split, "test_split": None})
    if split is None and kind_of(entry.test_source) is None and "/" in entry.test_source:
        split = "test"  # another hub data set is named for its test rows, not its training rows
    changes = {
        "source": entry.test_source, "test_source": None, "test_split": None,
        # The revision and the configuration are those of the training source.
        "train_split": split, "config": None, "revision": None,
    }  # fmt: skip
    kind = kind_of(entry.test_source)
    if kind is None or kind.format != ".csv":
        changes["separator"] = None
    return entry.model_copy(update=changes)


def sources_of(entry: DatasetEntry, folder: Path) -> list[DatasetSource]:
    """The source of the training rows, and that of the test rows where they have one of their own.

    Raises:
        HarnessError: as `source_of`.
    """
    return [source_of(each, folder) for each in (entry, entry_of_test(entry)) if each is not None]


def read_source(entry: DatasetEntry, folder: Path) -> Table:
    """Every raw row of ``entry``, each with its place."""
    rows = source_of(entry, folder).rows(entry)
    return rows if isinstance(rows, Table) else Table(rows, entry.source or entry.name)


def read_rows(entry: DatasetEntry, folder: Path) -> list[RawRow]:
    """Every raw row of ``entry``."""
    return list(read_source(entry, folder).rows)


def content_hash(entry: DatasetEntry, folder: Path) -> str:
    """A hash of what ``entry`` reads: file bytes, generator version, or hub id and revision."""
    test = entry_of_test(entry)
    train = _content(entry, folder)
    return train if test is None else f"{train}+{_content(test, folder)}"


def _content(entry: DatasetEntry, folder: Path) -> str:
    if entry.lm_eval_task is not None:
        return describe_task(entry, folder).content
    source = source_of(entry, folder)
    if source.needs_network:
        parts = [entry.config, entry.train_split]
        return "/".join([f"{source.name}@{entry.revision or 'main'}", *filter(None, parts)])
    if kind_of(entry.source or entry.name) and source.files:
        return file_hash(source.files[0])
    return source.content


def _file(entry: DatasetEntry, name: str, folder: Path) -> Path:
    path = (folder / expanded(name)).resolve()
    if not path.is_file():
        near = (
            [p.name for p in path.parent.glob("*") if p.is_file()] if path.parent.is_dir() else []
        )
        hint = f"{did_you_mean(path.name, near)} Paths start from the suite's folder, {folder}."
        raise HarnessError(f'data set "{entry.name}": no file {path}', hint=hint)
    return path


def _read(entry: DatasetEntry, path: Path) -> Table:
    return read_table(path, encoding=entry.encoding, separator=entry.separator)


def _refuse_keys(entry: DatasetEntry, *, hub: bool, file: bool) -> None:
    """Refuse keys that would have no effect on this kind of source."""
    refused = [] if hub else [(key, "data on the hub") for key in HUB_KEYS]
    refused += [] if file else [(key, "text files") for key in TEXT_KEYS]
    for key, kind in refused:
        if getattr(entry, key) is not None:
            name = entry.source or entry.name
            raise HarnessError(
                f'data set "{entry.name}": `{key}` has no effect on "{name}"',
                hint=f"It is for {kind}: delete it, or correct `source`.",
            )


def _table(
    entry: DatasetEntry,
    name: str,
    rows: Rows,
    *,
    needs_network: bool = False,
    files: tuple[Path, ...] = (),
) -> DatasetSource:
    task = entry.task or ("classification" if entry.labels else "generation")
    labels = task == "classification"
    if labels and not entry.labels:
        hint = "Declare them in order: labels: [negative, neutral, positive]."
        raise HarnessError(
            f'data set "{entry.name}": a classification set needs `labels`', hint=hint
        )
    return DatasetSource(
        name=name, rows=rows, task=task, language=entry.language or "en", labels=entry.labels,
        primary_metric=default_primary(task), needs_network=needs_network,
        columns=LABEL_COLUMNS if labels else ALPACA_COLUMNS, detects_columns=True, files=files,
    )  # fmt: skip


def hub_rows(name: str, entry: DatasetEntry) -> Table:
    """The rows of the hub's data set ``name``, of the configuration and split that are asked for.

    Raises:
        SkipCell: it cannot be fetched, or the library that fetches it is not installed.
        HarnessError: it has no such configuration or split.
    """
    if not is_installed("datasets"):
        what = f"data set {name} is on the hub, and datasets is not installed: {how('datasets')}"
        raise SkipCell(what)
    from datasets import load_dataset

    split = entry.train_split or "train"
    try:
        found = load_dataset(name, entry.config, split=split, revision=entry.revision)
    except ValueError as error:  # how `datasets` says that a configuration or a split is absent
        hint = "Set `config`, `train_split` or `test_split` to names that the data set has."
        raise HarnessError(_first_line(error), where=name, hint=hint) from None
    except Exception as error:  # hub failures have many types; all mean: cannot be fetched here
        raise SkipCell(f"data set {name} cannot be fetched: {_first_line(error)}") from error
    return Table([_named(row, found.features, entry) for row in found], f"{name}/{split}")


def _named(row: RawRow, features: Any, entry: DatasetEntry) -> RawRow:
    """``row`` with class numbers as the names that the data set declares for them."""
    for column, feature in features.items():
        names = getattr(feature, "names", None)
        number = row.get(column)
        if names and set(entry.labels) <= set(names) and isinstance(number, int) and number >= 0:
            row[column] = names[number]
    return row


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
