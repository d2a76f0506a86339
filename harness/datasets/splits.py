"""Rows to train and test examples: cleaned, sampled, split by group, each drop counted."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from harness.counting import counted
from harness.datasets.example import Example, Splits
from harness.datasets.labels import check_labels, check_sides
from harness.datasets.layout import layout_of
from harness.datasets.lm_eval_task import task_examples
from harness.datasets.overlap import overlap_of, repeats_note
from harness.datasets.registry import DatasetSource
from harness.datasets.rows import examples_of, normalised, reading_of
from harness.datasets.sources import entry_of_test, read_source, source_of
from harness.datasets.split_sizes import ASKED, count_of, sizes_of
from harness.errors import HarnessError, SuiteError
from harness.suite.dataset_entry import DatasetEntry


@dataclass(frozen=True)
class Prepared:
    """A data set read, checked and split; the overlap of its sides is not counted yet."""

    train: list[Example]
    test: list[Example]
    counts: dict[str, int]
    notes: tuple[str, ...]
    """How the file was read, where that was settled by the file and not by the suite."""

    @property
    def remarks(self) -> list[str]:
        """The notes, and what a report would warn of: to be known before anything is trained."""
        said = [_few_groups(self.test), repeats_note(self.train, self.test)]
        return [*self.notes, *filter(None, said)]


FEW_GROUPS = 30
"""As many rows, but of fewer groups, are few for an interval (`analysis/cautions.py`, `FEW`)."""


def _few_groups(test: Sequence[Example]) -> str | None:
    groups = len({example.group or example.id for example in test})
    few = groups < min(len(test), FEW_GROUPS)
    return f"only {counted(groups, 'group')} to test on" if few else None


def load_splits(
    entry: DatasetEntry,
    folder: Path,
    *,
    trained_on: DatasetEntry | None = None,
    cache: Path | None = None,
) -> Splits:
    """The train and test examples of ``entry``, the same for every model and seed.

    Args:
        entry: The data set as the suite has it.
        folder: The suite's folder, which relative paths start from.
        trained_on: The data set whose rows train, where ``entry`` has none.
        cache: Where the overlap of train and test is kept, so that it is counted once.

    Raises:
        HarnessError: columns are wrong, a label is unknown, or too few rows remain.
    """
    found = prepare(entry, folder, trained_on=trained_on)
    if not found.train:  # an overlap of 0 would say that it was looked for
        return Splits((), tuple(found.test), found.counts, None, found.notes)
    overlap = overlap_of(found.train, found.test, cache=cache)
    counts = {**found.counts, "overlap_exact": overlap.exact, "overlap_near": overlap.near}
    return Splits(tuple(found.train), tuple(found.test), counts, overlap, found.notes)


def prepare(
    entry: DatasetEntry, folder: Path, *, trained_on: DatasetEntry | None = None
) -> Prepared:
    """The rows of ``entry``, checked and split.

    A task of lm-evaluation-harness has test rows only; its training rows are those of
    ``trained_on``, if any.

    Raises:
        HarnessError: every problem found, each with its file and row.
    """
    if entry.lm_eval_task is not None:
        return _task_of_lm_eval(entry, folder, trained_on)
    counts: Counter[str] = Counter()
    source = source_of(entry, folder)
    rows = _read(entry, folder, counts)
    test_of = entry_of_test(entry)
    if test_of is None:
        drawn = _drawn(rows.examples, entry, generated=source.generated)
        split = _in_order if entry.split == "in-order" else _by_group
        train, test = split(drawn, entry, counts)
        notes = rows.notes
    else:
        test_counts: Counter[str] = Counter()
        test_rows = _read(test_of, folder, test_counts)
        counts.update({f"test_{key}": count for key, count in test_counts.items()})
        train, test = _apart(rows.examples, test_rows.examples, entry, counts)
        notes = tuple(dict.fromkeys((*rows.notes, *test_rows.notes)))
    if entry.validation is not None:
        counts["test_rows_unseen"] = len(test)
        train, test = _held_out(train, entry, counts)
    if _task(entry, source) == "classification":
        check_sides(train, test, entry)
    counts.update(train_rows=len(train), test_rows=len(test))
    return Prepared(train, test, dict(counts), notes)


def _task_of_lm_eval(
    entry: DatasetEntry, folder: Path, trained_on: DatasetEntry | None
) -> Prepared:
    test = task_examples(entry, folder)
    trainer = prepare(trained_on, folder) if trained_on else Prepared([], [], {}, ())
    counts = {**trainer.counts, "train_rows": len(trainer.train), "test_rows": len(test)}
    return Prepared(trainer.train, test, counts, trainer.notes)


def _task(entry: DatasetEntry, source: DatasetSource) -> str:
    return entry.task or source.task


class _Read(NamedTuple):
    examples: list[Example]
    notes: tuple[str, ...]


def _read(entry: DatasetEntry, folder: Path, counts: Counter[str]) -> _Read:
    """The clean examples of one table.

    Raises:
        HarnessError: rows, labels or gold numbers are wrong: all of them in one go.
    """
    source = source_of(entry, folder)
    table = read_source(entry, folder)
    layout = layout_of(entry, source, table)
    counts["rows_read"] = len(table.rows)
    examples = examples_of(table, reading_of(entry, source, layout), counts)
    problems = []
    if _task(entry, source) == "classification":
        problems += check_labels(examples, table, entry.labels or source.labels, entry)
    metric = entry.primary_metric or source.primary_metric
    if metric == "numeric_accuracy" and not any(e.gold for e in examples):
        hint = "Name the column of the right number: `columns: {gold: answer}`."
        problems.append(f'data set "{entry.name}": {metric} needs gold numbers\n  {hint}')
    if problems:
        raise SuiteError(problems)
    found = (f"read as {layout.found}",) if layout.found.startswith(_TOLD) else ()
    return _Read(_clean(examples, entry, counts), (*table.notes, *found))


_TOLD = ("messages", "ShareGPT", "prompt and completion")
"""Recognised formats that deserve a note; Alpaca's columns are the default."""


def _drawn(examples: list[Example], entry: DatasetEntry, *, generated: bool) -> list[Example]:
    """The rows that are asked for, in the order that the split draws from."""
    limit = None if generated else entry.rows
    if limit is not None and limit > len(examples):
        raise HarnessError(
            f'data set "{entry.name}": {counted(limit, *ASKED)}, {len(examples)} are there',
            hint="Lower `rows`, or delete it to take all.",
        )
    rng = random.Random(entry.split_seed)
    if entry.take == "first":
        examples = examples[:limit]
    if entry.split == "random":
        examples = list(examples)
        rng.shuffle(examples)
    elif entry.take == "sample" and limit:
        kept = set(rng.sample(range(len(examples)), min(limit, len(examples))))
        examples = [e for k, e in enumerate(examples) if k in kept]
    return examples[:limit]


def _apart(
    train: list[Example], test: list[Example], entry: DatasetEntry, counts: Counter[str]
) -> tuple[list[Example], list[Example]]:
    """Training rows without those of the test set, whose rows stay as they are.

    The test set is the yardstick that others use too: what both hold leaves training.
    """
    asked = {normalised(example.asked) for example in test}
    groups = {example.group for example in test if example.group}
    kept = [e for e in train if normalised(e.asked) not in asked and e.group not in groups]
    counts["dropped_in_test"] = len(train) - len(kept)
    kept = _drawn(kept, entry, generated=False)
    test = _drawn(test, entry.model_copy(update={"rows": None}), generated=False)
    n_train = count_of(1.0 if entry.train is None else entry.train, len(kept))
    n_test = count_of(1.0 if entry.test is None else entry.test, len(test))
    for side, wanted, there in (("train", n_train, len(kept)), ("test", n_test, len(test))):
        least = 0 if side == "train" and entry.only_tests else 1
        if not least <= wanted <= there:
            raise HarnessError(
                f'data set "{entry.name}": {side}: {counted(wanted, *ASKED)}, {there} are there',
                hint=f"Lower `{side}`, or delete it to take all.",
            )
    counts["not_used"] = len(kept) - n_train + len(test) - n_test
    return kept[:n_train], test[:n_test]


def _in_order(
    examples: list[Example], entry: DatasetEntry, counts: Counter[str]
) -> tuple[list[Example], list[Example]]:
    """The first rows are for training, the next for testing."""
    n_train, n_test = sizes_of(examples, entry)
    counts["not_used"] = len(examples) - n_train - n_test
    return examples[:n_train], examples[n_train : n_train + n_test]


def _held_out(
    train: list[Example], entry: DatasetEntry, counts: Counter[str]
) -> tuple[list[Example], list[Example]]:
    """Training rows in two parts, whole groups in each: one to learn from, one to be scored.

    They are parted after the test rows were taken out, so that the test rows are those of the suite
    without `validation`, and none of them is ever looked at while settings are chosen.
    """
    held = count_of(entry.validation or 0, len(train))
    parts = entry.model_copy(update={"train": max(0, len(train) - held), "test": held})
    if held < 1 or held >= len(train):
        raise HarnessError(
            f'data set "{entry.name}": validation: {held} of {counted(len(train), "training row")}',
            hint="Hold out at least one row, and leave some for training.",
        )
    split = _in_order if entry.split == "in-order" else _by_group
    own: Counter[str] = Counter()
    train, scored = split(train, parts, own)
    counts["not_used"] += own["not_used"]
    return train, scored


def _clean(examples: list[Example], entry: DatasetEntry, counts: Counter[str]) -> list[Example]:
    kept: dict[str, Example] = {}
    for index, example in enumerate(examples):
        if not example.prompt or not example.reference:
            counts["dropped_null"] += 1
        elif len(example.reference.split()) < entry.min_answer_words:
            counts["dropped_short"] += 1
        elif (key := _identity(example, entry, index)) in kept:
            counts["dropped_duplicate"] += 1
        else:
            kept[key] = example
    if not kept:
        hint = "Every prompt or answer is empty, or too short for `min_answer_words`."
        raise HarnessError(f'data set "{entry.name}": no row is left', hint=hint)
    return list(kept.values())


def _identity(example: Example, entry: DatasetEntry, index: int) -> str:
    """The key by which a row repeats another; its own number if nothing is deduplicated."""
    if entry.deduplicate == "none":
        return str(index)
    if entry.deduplicate == "prompt":
        return normalised(example.asked) or example.asked
    return example.id


def _by_group(
    examples: list[Example], entry: DatasetEntry, counts: Counter[str]
) -> tuple[list[Example], list[Example]]:
    """Assign whole groups to the test side in the given proportion, then draw rows from each."""
    n_train, n_test = sizes_of(examples, entry)
    groups: dict[str, list[Example]] = {}
    for example in examples:
        groups.setdefault(example.group or example.id, []).append(example)
    wanted = len(examples) * n_test / (n_test + n_train)
    for_test: set[str] = set()
    reserved = 0
    for key, members in groups.items():
        if reserved < wanted:
            for_test.add(key)
            reserved += len(members)
    test = [e for e in examples if (e.group or e.id) in for_test]
    train = [e for e in examples if (e.group or e.id) not in for_test]
    if n_train:
        _check_room(train, groups, entry)
    counts["groups"] = len(groups)
    counts["not_used"] = max(0, len(test) - n_test) + max(0, len(train) - n_train)
    if len(train) < n_train:
        counts["train_rows_short"] = n_train - len(train)
    return train[:n_train], test[:n_test]


def _check_room(
    train: list[Example], groups: dict[str, list[Example]], entry: DatasetEntry
) -> None:
    if not train:
        largest = max(map(len, groups.values()))
        raise HarnessError(
            f'data set "{entry.name}": no training row is left: a group stays on one side, and'
            f" of {counted(len(groups), 'group')} the largest has {counted(largest, 'row')}",
            hint="Choose another `group_by`, or null to split row by row.",
        )
