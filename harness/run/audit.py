"""Checks of data and training rows by the suite's `on_…` policies: a warning or an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from harness.backends.prompting import NOTICES
from harness.errors import HarnessError
from harness.suite.schema import Evaluation


class Defect(NamedTuple):
    """A defect of training rows that the audit counts."""

    policy: str
    """The key under `evaluation` that makes it an error or a warning."""
    meaning: str
    """What is wrong with the rows; follows their count in a message."""
    way_out: str


_LONGER = "Raise `training.max_length`"
DEFECTS = {
    "rows_without_loss": Defect(
        "on_unlearnable", "training rows have no token left to learn from", _LONGER
    ),
    "rows_cut": Defect("on_cut", "training rows are cut at max_length", _LONGER),
    "rows_without_eos": Defect(
        "on_missing_eos", "training rows lost their end-of-text token", _LONGER
    ),
    "boundary_merges": Defect(
        "on_boundary_merge",
        "training rows tokenize differently across the prompt's end",
        "End the prompt template in a line break",
    ),
}
"""Count of the audit → the defect."""


def check_leakage(counts: Mapping[str, int], evaluation: Evaluation) -> list[str]:
    """Warnings about test rows that training rows repeat.

    Raises:
        HarnessError: there are some, and `on_leakage` is `error`.
    """
    exact, near = (counts.get(f"overlap_{kind}", 0) for kind in ("exact", "near"))
    if not exact + near:
        return []
    parts = [f"{exact} also occur in training"] if exact else []
    parts += [f"{near} nearly repeat a training prompt"] if near else []
    text = f"of the test prompts, {' and '.join(parts)}"
    if evaluation.on_leakage == "error":
        raise HarnessError(
            text, hint="Set `group_by` to keep related rows in one split, or `on_leakage: warn`."
        )
    return [text]


def check_rows(audit: Mapping[str, int], evaluation: Evaluation) -> list[str]:
    """Warnings about the defects that the ``audit`` of training rows counted.

    Raises:
        HarnessError: one is there whose policy is `error`.
    """
    warnings = []
    for name, defect in DEFECTS.items():
        count = audit.get(name, 0)
        if not count:
            continue
        text = f"{count} {defect.meaning}"
        if getattr(evaluation, defect.policy) == "error":
            hint = f"{defect.way_out}, or set `evaluation.{defect.policy}: warn`."
            raise HarnessError(text, hint=hint)
        warnings.append(text)
    return warnings + [f"{audit[name]} {text}" for name, text in NOTICES.items() if audit.get(name)]
