"""The content that a cell is made of, hashed: model, data, adapter, control set, prompt texts.

Names do not say what they stand for: a file may be edited between two runs, or during one. So the
plan hashes what is read, and a worker hashes it again after it has read it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from harness.datasets.control import control_hash
from harness.datasets.file_hash import known_digest
from harness.datasets.sources import content_hash
from harness.plan.cell import Cell
from harness.plan.stages import VERSIONS
from harness.results.result import SCHEMA
from harness.suite.prompt_styles import style_hash

HASHED_BYTES = 32 * 1024**2
"""A model's files up to this size are hashed; larger ones count by size and time of change, because
reading the weights of every model at each `harness plan` would take minutes."""
WORDS = {
    "data": "the data set's file", "trained_on": "the training data's file",
    "model": "the model's files", "adapter": "the adapter's files",
    "control": "the control set", "prompt": "the prompt's text", "metrics": "a metric's file",
}  # fmt: skip
"""Key of a cell's content → what a message calls it."""


def content_of(cell: Cell) -> dict[str, str]:
    """Hashes and versions of everything that ``cell`` reads."""
    folder = Path(cell.base_folder)
    content = {
        "data": content_hash(cell.dataset, folder),
        "model": _model_content(cell),
        "schema": str(SCHEMA),
        "stages": ".".join(map(str, VERSIONS.values())),
        "prompt": style_hash(cell.model.prompt),
    }
    if cell.evaluation.control:
        content["control"] = control_hash(cell.evaluation.control, folder)
    if cell.trained_on:
        content["trained_on"] = content_hash(cell.trained_on, folder)
    if "source" in cell.adapter_config:
        content["adapter"] = model_hash(cell.adapter_config["source"], None)
    return content


def _model_content(cell: Cell) -> str:
    """A hash of the model's files, or its name: of a served model nothing else can be read."""
    card = cell.model
    if card.is_served:
        return f"served {card.source}@{card.revision or ''}"
    return model_hash(card.source, card.revision)


def model_hash(source: str, revision: str | None) -> str:
    """A hash of a local model's files (large ones by size and time), or hub id and revision."""
    folder = Path(source)
    if not folder.is_absolute():
        return f"{source}@{revision or 'main'}"
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.iterdir() if p.is_file()):
        digest.update(path.name.encode())
        found = path.stat()
        if found.st_size <= HASHED_BYTES:
            digest.update(known_digest(path))
        else:
            digest.update(f"{found.st_size}/{found.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


def changed_words(planned: dict[str, str], now: dict[str, str]) -> list[str]:
    """What of a cell's content is another one ``now``, in words."""
    return [WORDS.get(key, key) for key in now if planned.get(key, now[key]) != now[key]]
