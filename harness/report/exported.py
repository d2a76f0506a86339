"""What an export's scores mean, in words: an undecided difference is no proof of equality."""

from __future__ import annotations

from harness.analysis.pairs import Pair
from harness.counting import agreeing, counted

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
        return [
            f"all {counted(answers, 'answer')} are the same to the letter, so their scores are the"
            " same"
            if answers > 1
            else "the one answer is the same to the letter, so its score is the same"
        ]
    lines = [
        f"{same} of {counted(answers, 'answer')} {agreeing(same, 'is', 'are')} the same to the"
        " letter"
    ]
    delta = pair.deltas.get(pair.first.result.primary_metric)
    if delta is None:
        return lines
    if delta.verdict in MEANING:
        return [*lines, MEANING[delta.verdict]]
    return [
        *lines,
        f"undecided: {counted(delta.n, 'example is', 'examples are')} too few to show a loss in"
        f" {delta.metric} or to rule one out (95% interval: {delta.low:+.3f} to"
        f" {delta.high:+.3f}).",
        "If a difference up to 0.02 would not matter to you, ask whether it is shown to be smaller:"
        f" {margin_command} --margin 0.02",
    ]
