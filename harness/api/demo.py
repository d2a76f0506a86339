"""Two variants of a run live, side by side: their page, its votes, and an app of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.api.arguments import RunLike, run_of

if TYPE_CHECKING:
    from harness.analysis.votes import VoteTable


def votes(run: RunLike) -> VoteTable:
    """What people preferred on the page of `harness demo`, for each pair of variants.

    Args:
        run: A run, or its directory.

    Raises:
        HarnessError: the run's ``votes.jsonl`` is damaged.
    """
    from harness.analysis.votes import count_votes

    return count_votes(run_of(run))
