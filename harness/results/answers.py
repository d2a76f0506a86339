"""``predictions.jsonl`` and its like: written strictly, read back as their result knows them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from harness.counting import counted
from harness.errors import DamagedFile
from harness.metrics.prediction import Prediction
from harness.results.companions import Companion, check_table, finish_replacing
from harness.results.paths import CellPaths, bytes_in, write_bytes
from harness.results.reading import AGAIN, changed_meanwhile, read_log, read_predictions

if TYPE_CHECKING:
    from harness.results.result import CellResult

ANSWERED = (
    "id", "prompt", "prediction", "finish_reason", "prompt_tokens", "new_tokens", "nll",
    "answer_tokens", "correct_tokens", "entropy", "label_scores",
)  # fmt: skip
"""The fields that a model decided; scoring reads them and writes others."""
# `json.dumps` makes an encoder for every record
_LINE = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True).encode

SHARED = (
    "data_hash", "example_prompt", "label", "predicted_label", "prediction", "prompt", "reference",
    "scores",
)  # fmt: skip
"""Fields that all records of a file have, or none: tables and statistics read them of each."""


def table_text(records: Iterable[Mapping[str, object]]) -> bytes:
    """One strict JSON line per record.

    Raises:
        ValueError: a number is not finite: JSON has no word for it.
    """
    return "".join([f"{_LINE(record)}\n" for record in records]).encode("utf-8")


def write_predictions(
    path: Path, records: Iterable[Mapping[str, object]], *, durable: bool = True
) -> None:
    """Write one strict JSON line per record to ``path``."""
    write_bytes(path, table_text(records), durable=durable)


def predictions_of(cell: CellResult, paths: CellPaths) -> list[Prediction]:
    """The prediction records of ``cell``, in example order; empty when there are none.

    Raises:
        DamagedFile: a line is cut, lines are missing, or the file is not the one of the result.
    """
    check_companion(cell, paths, paths.predictions)
    records = read_predictions(paths.predictions)
    if records and cell.is_ours and len(records) != cell.answers:
        what = f"{counted(len(records), 'answer')}; result.json was computed from {cell.answers}"
        raise DamagedFile(what, where=str(paths.predictions), hint=AGAIN)
    _refuse_missing_fields(cell, records, paths)
    _refuse_other_labels(cell, records, paths)
    return records


def _refuse_missing_fields(
    cell: CellResult, records: Sequence[Prediction], paths: CellPaths
) -> None:
    """A record that lacks what its result was computed from is no record of it."""
    needed = {name for record in records for name in SHARED if name in record}
    if cell.status == "ok":  # a failed cell keeps answers that nothing has scored
        needed |= {"scores", "label", "predicted_label"} if cell.labels else {"scores"}
    for number, record in enumerate(records, start=1):
        if not needed <= record.keys():
            missing = min(needed - record.keys())
            what = f'is damaged: no "{missing}"'
            raise DamagedFile(what, where=f"{paths.predictions}:{number}", hint=AGAIN)


def _refuse_other_labels(cell: CellResult, records: Sequence[Prediction], paths: CellPaths) -> None:
    """A gold label that the result does not count has no place in any statistic of the labels."""
    if not cell.labels:
        return
    for number, record in enumerate(records, start=1):
        if record.get("label", cell.labels[0]) not in cell.labels:
            what = f'is damaged: label: "{record["label"]}" is none of the result\'s labels'
            raise DamagedFile(what, where=f"{paths.predictions}:{number}", hint=AGAIN)


def control_of(cell: CellResult, paths: CellPaths) -> list[Prediction]:
    """The control records of ``cell``; empty when there are none.

    Raises:
        DamagedFile: as `predictions_of`.
    """
    check_companion(cell, paths, paths.control)
    return read_predictions(paths.control)


def log_of(cell: CellResult, paths: CellPaths) -> list[dict[str, float]]:
    """The logged training steps of ``cell``; empty for a baseline.

    Raises:
        DamagedFile: as `predictions_of`.
    """
    check_companion(cell, paths, paths.train_log)
    return read_log(paths.train_log)


def check_companion(cell: CellResult, paths: CellPaths, path: Path) -> None:
    """Refuse the table ``path`` if it is not the one that the result of ``cell`` recorded.

    Raises:
        DamagedFile: it is gone, or a line of it is cut, or it has other rows or other content.
        HarnessError: another command has replaced it since the result was read.
    """
    expected = cell.companions.get(path.name)
    if expected is None:
        return  # a result of an older version, or one that has no such file
    finish_replacing(paths, {path.name: expected})
    try:
        check_table(path, bytes_in(path), expected)
    except DamagedFile:
        if _is_replaced(paths, path.name, expected):
            raise changed_meanwhile(paths.directory) from None
        raise


def _is_replaced(paths: CellPaths, name: str, expected: Companion) -> bool:
    """Whether the cell has another result by now, or none: it is done or scored again just now."""
    content = bytes_in(paths.result)
    if content is None:
        return True
    try:
        now = json.loads(content)["companions"].get(name)
    except (ValueError, LookupError, TypeError, AttributeError):
        return False  # it is damaged itself
    return bool(now != asdict(expected))


def answers_digest(records: Sequence[Prediction]) -> str:
    """A hash of what was answered, whatever was scored since."""
    digest = hashlib.sha256()
    for record in records:
        kept = {name: record[name] for name in ANSWERED if name in record}  # type: ignore[literal-required]
        digest.update(json.dumps(kept, sort_keys=True).encode())
    return digest.hexdigest()[:16]
