"""Rows to train and test examples: cleaned, sampled, split by group, each drop counted."""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from harness.datasets.example import Example, Splits, digest
from harness.datasets.sources import Row, Source, read_rows, source_of
from harness.errors import HarnessError
from harness.registry import did_you_mean
from harness.suite.schema import DatasetEntry

NEAR_DUPLICATE = 90.0
"""Token-set similarity (0–100, rapidfuzz) from which two prompts count as near duplicates."""
NULLS = frozenset({"", "nan", "none", "null"})


def load_splits(entry: DatasetEntry, folder: Path) -> Splits:
    """The train and test examples of ``entry``, the same for every model and seed.

    Raises:
        HarnessError: columns are wrong, a label is unknown, or too few rows remain.
    """
    source = source_of(entry, folder)
    rows = read_rows(entry, folder)
    columns = _columns(entry, source, rows)
    counts: Counter[str] = Counter(rows_read=len(rows))
    examples = _clean(_examples(rows, columns, entry, source), entry, counts)
    if source.task == "classification":
        _check_labels(examples, entry.labels or source.labels, entry)
    examples = _drawn(examples, entry, generated=source.name == "ru-calculations")
    split = _in_order if entry.split == "in-order" else _split
    train, test = split(examples, entry, counts)
    if source.task == "classification":
        _check_seen(train, test, entry)
    counts.update(_overlap(train, test))
    counts.update(train_rows=len(train), test_rows=len(test))
    return Splits(tuple(train), tuple(test), dict(counts))


def _drawn(examples: list[Example], entry: DatasetEntry, *, generated: bool) -> list[Example]:
    """The rows that are asked for, in the order that the split draws from."""
    limit = None if generated else entry.rows
    rng = random.Random(entry.split_seed)
    if entry.take == "first":
        examples = examples[:limit]
    if entry.split == "random":
        rng.shuffle(examples)
    elif entry.take == "sample" and limit:
        kept = set(rng.sample(range(len(examples)), min(limit, len(examples))))
        examples = [e for k, e in enumerate(examples) if k in kept]
    return examples[:limit]


def _in_order(
    examples: list[Example], entry: DatasetEntry, counts: Counter[str]
) -> tuple[list[Example], list[Example]]:
    """The first rows train, the next ones test."""
    n_train, n_test = _sizes(examples, entry)
    counts["not_used"] = len(examples) - n_train - n_test
    return examples[:n_train], examples[n_train : n_train + n_test]


def _check_seen(train: list[Example], test: list[Example], entry: DatasetEntry) -> None:
    unseen = sorted({e.reference for e in test} - {e.reference for e in train})
    if unseen:
        raise HarnessError(
            f'data set "{entry.name}": label "{unseen[0]}" is tested and never trained on',
            hint="Raise `train`, or choose another `split_seed`.",
        )


def _columns(entry: DatasetEntry, source: Source, rows: list[Row]) -> dict[str, str]:
    columns: dict[str, str] = dict(source.columns)
    columns.update({str(field): column for field, column in entry.columns.items()})
    present = set(rows[0]) if rows else set()
    if "category" in present:
        columns.setdefault("category", "category")
    for field, column in columns.items():
        needed = field in ("prompt", "reference") or field in entry.columns
        if needed and column not in present:
            raise HarnessError(
                f'data set "{entry.name}": there is no column "{column}" for {field}',
                hint=f"{did_you_mean(column, present)} Columns: {', '.join(sorted(present))}.",
            )
    return {field: column for field, column in columns.items() if column in present}


def _examples(
    rows: list[Row], columns: dict[str, str], entry: DatasetEntry, source: Source
) -> list[Example]:
    group_by = entry.group_by if entry.group_by != "prompt" else source.group_by
    return [_example(row, columns, group_by) for row in rows]


def _example(row: Row, columns: dict[str, str], group_by: str | None) -> Example:
    fields: dict[str, Any] = {f: _text(row.get(c)) for f, c in columns.items()}
    prompt, reference = fields.get("prompt", ""), fields.get("reference", "")
    context = fields.get("context", "")
    group = {"prompt": prompt, "reference": reference}.get(group_by or "")
    if group is None and group_by:
        group = _text(row.get(group_by))
    return Example(
        id=digest(prompt, context, reference),
        prompt=prompt,
        reference=reference,
        context=context,
        category=fields.get("category") or None,
        group=normalised(group) if group else None,
        gold=fields.get("gold") or None,
    )


def _text(value: Any) -> str:
    text = "" if value is None else str(value).strip()
    return "" if text.lower() in NULLS else text


def normalised(text: str) -> str:
    """``text`` casefolded, punctuation dropped and spaces joined: equal for trivial rewrites."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def _clean(examples: list[Example], entry: DatasetEntry, counts: Counter[str]) -> list[Example]:
    kept: dict[Any, Example] = {}
    for example in examples:
        if not example.prompt or not example.reference:
            counts["dropped_null"] += 1
        elif len(example.reference.split()) < entry.min_answer_words:
            counts["dropped_short"] += 1
        elif (key := _identity(example, entry)) in kept:
            counts["dropped_duplicate"] += 1
        else:
            kept[key] = example
    return list(kept.values())


def _identity(example: Example, entry: DatasetEntry) -> Any:
    """What makes a row a repetition of another; a fresh object where nothing does."""
    if entry.deduplicate == "none":
        return object()
    if entry.deduplicate == "prompt":
        return normalised(f"{example.prompt} {example.context}")
    return example.id


def _check_labels(examples: list[Example], labels: tuple[str, ...], entry: DatasetEntry) -> None:
    strange = sorted({e.reference for e in examples} - set(labels))
    if strange:
        raise HarnessError(
            f'data set "{entry.name}": label "{strange[0]}" is not among the declared ones',
            hint=f"Declared: {', '.join(labels)}. {did_you_mean(strange[0], labels)}",
        )


def _split(
    examples: list[Example], entry: DatasetEntry, counts: Counter[str]
) -> tuple[list[Example], list[Example]]:
    """Whole groups go to the test side in the asked proportion; rows are drawn from each side."""
    n_train, n_test = _sizes(examples, entry)
    total = len(examples)
    groups: dict[str, list[Example]] = {}
    for example in examples:
        groups.setdefault(example.group or example.id, []).append(example)
    wanted = total * n_test / (n_test + n_train)
    for_test: set[str] = set()
    reserved = 0
    for key, members in groups.items():
        if reserved < wanted:
            for_test.add(key)
            reserved += len(members)
    test = [e for e in examples if (e.group or e.id) in for_test]
    train = [e for e in examples if (e.group or e.id) not in for_test]
    counts["groups"] = len(groups)
    counts["not_used"] = max(0, len(test) - n_test) + max(0, len(train) - n_train)
    if len(train) < n_train:
        counts["train_rows_short"] = n_train - len(train)
    return train[:n_train], test[:n_test]


class _Sizes(NamedTuple):
    train: int
    test: int


def _sizes(examples: list[Example], entry: DatasetEntry) -> _Sizes:
    """Rows of each side.

    Raises:
        HarnessError: more are asked for than are there.
    """
    total = len(examples)
    n_test, n_train = (_count(share, total) for share in (entry.test, entry.train))
    if n_test < 1 or n_train < 1 or n_test + n_train > total:
        raise HarnessError(
            f'data set "{entry.name}": {n_train} training and {n_test} test rows are asked for,'
            f" {total} are there",
            hint="Lower `train` or `test`, or raise `rows`.",
        )
    return _Sizes(n_train, n_test)


def _count(share: int | float, total: int) -> int:
    return int(share) if isinstance(share, int) or share > 1 else int(share * total + 1e-9)


def _overlap(train: list[Example], test: list[Example]) -> dict[str, int]:
    """Test rows whose prompt also stands in training: exactly after normalising, or nearly."""
    from rapidfuzz import fuzz, process

    seen = {normalised(f"{e.prompt} {e.context}") for e in train}
    texts = [normalised(f"{e.prompt} {e.context}") for e in test]
    exact = [text in seen for text in texts]
    rest = [text for text, same in zip(texts, exact, strict=True) if not same]
    near = 0
    if rest:
        scores = process.cdist(rest, sorted(seen), scorer=fuzz.ratio, score_cutoff=NEAR_DUPLICATE)
        near = int((scores.max(axis=1) >= NEAR_DUPLICATE).sum())
    return {"overlap_exact": sum(exact), "overlap_near": near}
