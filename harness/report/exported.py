"""What an export's scores mean, in words: an undecided difference is no proof of equality."""

from __future__ import annotations

from harness.analysis.pairs import Pair

MEANING = {
    "better": "The exported files score better than the cell: they are another model, though.",
    "equivalent": "The difference is within the margin.",
    "worse": "The exported files score worse than the cell: do not deploy them for it.",
}


def exported_lines(pair: Pair, *, same: int, answers: int, margin_command: str) -> list[str]:
    """How far the answers of exported files are those of the cell, a line each.

    Args:
        pair: The cell, and the exported files as a cell.
        same: How many answers are the same to the letter.
        answers: Of how many.
        margin_command: Compares both cells; a margin is added to it.
    """
    if same == answers:
        return [f"all {answers} answers are the same to the letter, so their scores are the same"]
    lines = [f"{same} of {answers} answers are the same to the letter"]
    delta = pair.deltas.get(pair.first.result.primary_metric)
    if delta is None:
        return lines
    if delta.verdict in MEANING:
        return [*lines, MEANING[delta.verdict]]
    return [
        *lines,
        f"undecided: {delta.n} examples are too few to show a loss in {delta.metric} or to rule one"
        f" out (95% interval: {delta.low:+.3f} to {delta.high:+.3f}).",
        "If a difference up to 0.02 would not matter to you, ask whether it is shown to be smaller:"
        f" {margin_command} --margin 0.02",
    ]
