"""Scoring a run's stored answers again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.api.arguments import RunLike, refuse_packed, run_of
from harness.errors import HarnessError
from harness.results.locking import locked
from harness.results.state import state_of
from harness.scoring.rescoring import Rescored, rescore

if TYPE_CHECKING:
    from harness.api.reports import Report


@dataclass(frozen=True)
class Scored:
    """The outcome of scoring a run again."""

    cells: tuple[Rescored, ...]
    """The changes of each cell."""
    report: Report


def score(run: RunLike, *, metric_code: bool = False) -> Scored:
    """Read and score the stored answers of ``run`` again with the installed metrics; report them.

    Args:
        run: A run's directory.
        metric_code: Load and run the metric modules that the run names. It may name any file:
            allow it for runs of your own.

    Raises:
        HarnessError: predictions are missing, damaged or fewer than their result counted, or a
            metric is code that was not allowed; nothing is written then.
    """
    hint = "Give the run's own directory: the new scores are written into it."
    refuse_packed(run, "a packed run cannot be scored again", hint)
    found = run_of(run)
    if not found.has_texts:
        what = "a run without texts cannot be scored again"
        raise HarnessError(what, where=str(found.directory), hint="Score the run it came from.")
    with locked(found.directory):
        # as it is now: another command may have written to it until the lock
        if not found.homes and state_of(found.directory) != found.state:
            found = run_of(found.directory)
        cells = rescore(found, code=None if metric_code else ())
        # Only now: reports need numpy, whose library starts threads, and where there are threads
        # no process may be forked. Imported earlier, it would let one core score all cells.
        from harness.api.reports import report

        return Scored(tuple(cells), report(found.directory))
