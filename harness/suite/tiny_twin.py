"""The tiny twin of a suite: the same code path with a tiny model and little data, on a CPU."""

from __future__ import annotations

from harness.errors import HarnessError
from harness.suite.schema import DatasetEntry, Entry, Suite

SOURCE_KEYS = {
    "revision", "columns", "config", "train_split", "test_source", "test_split", "encoding",
    "separator",
}  # fmt: skip
"""Keys of a data set that belong to its `source`."""

TINY_LIMIT = 8
"""Documents of a task of lm-evaluation-harness in a tiny twin."""


def tiny_twin(suite: Suite, where: str) -> Suite:
    """``suite`` with the changes of its `tiny` block.

    Raises:
        HarnessError: the suite has none.
    """
    tiny = suite.tiny
    if tiny is None:
        hint = "Write `tiny: {model: tiny-qwen2, dataset: {...}, training: {...}}` into it."
        raise HarnessError("the suite has no tiny twin", where=where, hint=hint)
    datasets = tuple(_dataset(item, tiny.dataset) for item in suite.matrix.dataset)
    models = (tiny.model,)
    matrix = suite.matrix.model_copy(update={"model": models, "dataset": datasets})
    overrides = {
        kind: getattr(tiny, kind)
        for kind in ("training", "evaluation", "generation")
        if getattr(tiny, kind)
    }
    kept = tuple(rule for rule in suite.include if "model" not in rule)
    excluded = tuple(rule for rule in suite.exclude if "model" not in rule)
    return suite.model_copy(
        update={
            "name": f"{suite.name}-tiny",
            "matrix": matrix,
            "include": (*kept, overrides) if overrides else kept,
            "exclude": excluded,
            "published": (),
        }
    )


def _dataset(item: str | DatasetEntry, changes: dict[str, object]) -> DatasetEntry:
    entry = DatasetEntry(name=item) if isinstance(item, str) else item
    if entry.lm_eval_task is not None:  # the changes say how a table is read and split
        return entry.model_copy(update={"limit": min(entry.limit or TINY_LIMIT, TINY_LIMIT)})
    # What says how to read the entry's own source goes with it when the twin names another.
    own = SOURCE_KEYS if "source" in changes else set()
    kept = entry.model_dump(exclude=own)
    wanted: Entry = DatasetEntry(**{**kept, "source": entry.source or entry.name, **changes})
    assert isinstance(wanted, DatasetEntry)
    return wanted
