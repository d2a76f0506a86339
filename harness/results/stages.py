"""The records of a cell's stages: ``train.json``, ``predict.json`` and ``measure.json``.

A record is written last, when the files of its stage are complete, and holds their hashes: so what
was done can be used again by a cell of other settings, and by one that was killed half way.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.datasets.file_hash import file_digest
from harness.results.paths import CellPaths, read_json, settle, write_json

SCHEMA = 1
FILES = {
    "train": ("adapter", "train_log.jsonl"),
    "predict": ("predictions.jsonl", "repeats.jsonl", "control.jsonl"),
    "measure": (),
}
"""Stage → the files and folders that it writes in a cell's folder."""
REWRITTEN = frozenset({"predictions.jsonl", "README.md"})
"""Written again after their stage, with scores: held by `answers`, not by their hash."""


@dataclass(frozen=True)
class StageRecord:
    """The results of a stage, apart from the files that it wrote."""

    key: str
    """The fingerprint of everything that decides its outcome."""
    numbers: dict[str, float] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    audit: dict[str, int] = field(default_factory=dict)
    environment: dict[str, object] = field(default_factory=dict)
    """Packages, machine and revision that it was made with."""
    files: dict[str, str] = field(default_factory=dict)
    """Path in the cell's folder → hash of its bytes."""
    answers: str = ""
    """Of answers: a hash of what was answered, whatever was scored since."""
    schema: int = SCHEMA


def save_stage(paths: CellPaths, stage: str, record: StageRecord) -> StageRecord:
    """Write ``record`` with the hashes of the files of its ``stage``."""
    complete = replace(record, files=dict(_hashes(paths.directory, stage)))
    _write(paths, stage, asdict(complete))
    return complete


def _write(paths: CellPaths, stage: str, record: Mapping[str, Any]) -> None:
    """Write the record of ``stage``, and wait for the disk where hours would be lost.

    A training is worth that. Answers and measurements need not be there after a power cut before
    the cell's result is: that waits for all of them, and a record whose files are torn by then
    does not have their hashes.
    """
    is_training = stage == "train"
    if is_training:
        settle(paths.directory / name for name in FILES[stage])
    write_json(paths.stage(stage), record, durable=is_training)


def load_stage(paths: CellPaths, stage: str, key: str) -> StageRecord | None:
    """The record of ``stage`` under ``key``; None if there is none or its files are damaged."""
    record = _read(paths.stage(stage))
    if record is None or record.key != key:
        return None
    try:
        there = dict(_hashes(paths.directory, stage))
    except FileNotFoundError:  # another worker, or another run, is doing the stage anew there
        return None
    return record if record.files == there else None


def copy_stage(source: CellPaths, target: CellPaths, stage: str) -> None:
    """Copy what ``stage`` left in ``source`` to ``target``, its record last; nothing is moved.

    Whoever copies looks at the hashes of the copy, by `load_stage`: the cell in ``source`` may be
    done anew meanwhile. If its files go away, nothing is left in ``target``.
    """
    clear_stage(target, stage)
    target.directory.mkdir(parents=True, exist_ok=True)
    try:
        for name in FILES[stage]:
            found = source.directory / name
            if found.is_dir():
                shutil.copytree(found, target.directory / name)
            elif found.is_file():
                shutil.copy2(found, target.directory / name)
        _write(target, stage, read_json(source.stage(stage)))
    except (FileNotFoundError, shutil.Error):  # `copytree` gathers what went wrong in its own
        clear_stage(target, stage)


def clear_stage(paths: CellPaths, stage: str) -> None:
    """Delete what an earlier attempt at ``stage`` left in this folder, its record first."""
    paths.stage(stage).unlink(missing_ok=True)
    for name in FILES[stage]:
        path = paths.directory / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)


def stage_index(cells: Path) -> dict[tuple[str, str], str]:
    """(stage, key) → the name of a folder in ``cells`` that holds it."""
    index: dict[tuple[str, str], str] = {}
    for folder in sorted(cells.iterdir()) if cells.is_dir() else ():
        for stage in FILES:
            record = _read(CellPaths(folder).stage(stage))
            if record is not None:
                index.setdefault((stage, record.key), folder.name)
    return index


def _read(path: Path) -> StageRecord | None:
    """The record in ``path``; None where it is absent or is none: then the stage is done again."""
    try:
        record = read_json(path)
    except (OSError, ValueError):
        return None
    if not isinstance(record, Mapping) or record.get("schema") != SCHEMA:
        return None
    try:
        return StageRecord(**record)
    except TypeError:
        return None


def _hashes(folder: Path, stage: str) -> Iterator[tuple[str, str]]:
    for name in FILES[stage]:
        path = folder / name
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and file.name not in REWRITTEN:
                yield file.relative_to(folder).as_posix(), file_digest(file).hex()[:16]
