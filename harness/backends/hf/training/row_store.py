"""Training rows kept in the run directory: tokenized once for all cells that share them.

Cells of one model and data set differ in quantization, adapter and seed; their rows do not. The key
hashes what the rows are made of (texts, tokenizer, template and its variables, cut, labels, the
code that makes them), so a change of any makes new ones.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from datasets import Dataset
from filelock import FileLock
from transformers import PreTrainedTokenizerBase

from harness.backends.hf.encoding import TrainingRows
from harness.datasets.example import Example
from harness.datasets.file_hash import file_digest, file_hash
from harness.plan.cell import Cell
from harness.results.paths import read_json, write_json

HASHES = "hashes.json"
"""Beside the rows: a hash of each of their files."""


def stored_rows(folder: Path, key: str, make: Callable[[], TrainingRows]) -> TrainingRows:
    """The rows stored under ``key`` in ``folder``; made, and stored, where there are none."""
    place = folder / key
    if not _is_whole(place):
        folder.mkdir(parents=True, exist_ok=True)
        # another worker may be making them: waiting for it costs less than making them twice, and
        # none deletes what the other has just stored
        with FileLock(folder / f".{key}.lock"):
            if not _is_whole(place):
                shutil.rmtree(place, ignore_errors=True)
                _store(place, make())
    return TrainingRows(Dataset.load_from_disk(str(place)), read_json(place / "audit.json"))


def dataset_of(rows: Sequence[Mapping[str, Any]]) -> Dataset:
    """``rows`` as a data set; stored ones, which are one already, as they are."""
    return rows if isinstance(rows, Dataset) else Dataset.from_list(list(rows))


def _is_whole(place: Path) -> bool:
    """Whether the files in ``place`` are those that were stored: a torn one is made again."""
    try:
        # only what was stored: `Dataset.map` of another worker writes `cache-….arrow` beside it,
        # and rows that are in use must not be taken for torn ones and deleted
        stored = read_json(place / HASHES)
        return bool(stored) and all(_hash(place / name) == stored[name] for name in stored)
    except (OSError, ValueError):
        return False


def _hash(path: Path) -> str:
    return file_digest(path).hex()[:16]


def rows_key(cell: Cell, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example]) -> str:
    """Sixteen hex digits of what the rows of ``examples`` depend on."""
    digest = hashlib.sha256()
    settings = {
        "code": _code(),
        "card": cell.model.model_dump(mode="json", exclude={"source", "revision"}),
        "template": tokenizer.chat_template,
        "special": tokenizer.special_tokens_map,
        "max_length": cell.training.get("max_length"),
        "loss_on": cell.training.get("loss_on"),
        "answered_by": cell.task.answered_by,
        "labels": list(cell.task.labels),
    }
    digest.update(json.dumps(settings, sort_keys=True, default=str).encode())
    digest.update(tokenizer.backend_tokenizer.to_str().encode())
    for example in examples:
        digest.update(f"{example.content_hash}\x1e".encode())
    return digest.hexdigest()[:16]


@cache
def _code() -> list[str]:
    """The sources that make rows, hashed, and the versions of the libraries that they call.

    A version number by hand would be forgotten; a hash is at worst too careful.
    """
    hf = Path(__file__).parents[1]
    texts = [hf.parent / "prompting.py", hf.parents[1] / "suite" / "prompt_styles.py"]
    makers = [*texts, *hf.glob("*.py"), *(hf / "tasks").glob("*.py")]
    sources = [file_hash(path) for path in sorted(makers)]
    return [*sources, *(version(name) for name in ("transformers", "tokenizers", "jinja2"))]


def _store(place: Path, rows: TrainingRows) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}."))
    dataset_of(rows.rows).save_to_disk(str(folder))
    write_json(folder / "audit.json", rows.audit)
    write_json(folder / HASHES, {path.name: _hash(path) for path in sorted(folder.iterdir())})
    folder.rename(place)
