"""Labels in the data against the declared ones, and on both sides of the split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.counting import counted
from harness.datasets.example import Example
from harness.datasets.table import Table
from harness.errors import HarnessError
from harness.registry import did_you_mean
from harness.suite.dataset_entry import DatasetEntry, same_label

SHOWN = 5
"""Undeclared labels that are named; the others are counted."""


def check_labels(
    examples: Sequence[Example], table: Table, labels: tuple[str, ...], entry: DatasetEntry
) -> list[str]:
    """What is wrong with the labels of ``table``'s rows, each label once with its rows counted."""
    counts = Counter(example.reference for example in examples if example.reference)
    strange = [label for label in counts if label not in labels]
    first = {e.reference: k for k, e in reversed(list(enumerate(examples)))} if strange else {}
    problems = [
        f'{table.place(first[label])}: data set "{entry.name}": label "{label}" is not among the'
        f" declared ones ({counted(counts[label], 'row')})\n  {_advice(label, labels)}"
        for label in sorted(strange)[:SHOWN]
    ]
    if len(strange) > SHOWN:
        problems.append(f"  … and {counted(len(strange) - SHOWN, 'more undeclared label')}")
    if len(counts) == 1 and not strange:
        only = next(iter(counts))
        hint = "Classifiers cannot be compared on one class: add rows of the others."
        problems.append(
            f'{table.where}: data set "{entry.name}": every row has the label "{only}"\n  {hint}'
        )
    return problems


def _advice(label: str, labels: tuple[str, ...]) -> str:
    same = [declared for declared in labels if same_label(declared) == same_label(label)]
    if same:
        return f'It differs from "{same[0]}" by case, blanks or form alone: make them equal.'
    near = did_you_mean(label, labels)
    # without a near one it lists what is known, which is the same again
    return f"Declared: {', '.join(labels)}." + (f" {near}" if near.startswith("Did") else "")


def check_sides(train: Sequence[Example], test: Sequence[Example], entry: DatasetEntry) -> None:
    """Refuse a split that tests what was never trained on, or one label alone.

    Raises:
        HarnessError: such a label is there.
    """
    tested = {e.reference for e in test}
    unseen = sorted(tested - {e.reference for e in train})
    if unseen and not entry.only_tests:
        raise HarnessError(
            f'data set "{entry.name}": label "{unseen[0]}" is tested and never trained on',
            hint="Raise `train`, or choose another `split_seed`.",
        )
    if len(tested) == 1:
        raise HarnessError(
            f'data set "{entry.name}": the only label of its {counted(len(test), "test row")}'
            f' is "{test[0].reference}"',
            hint="Classifiers cannot be compared on it: raise `test`, or change `split_seed`.",
        )
