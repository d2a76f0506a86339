"""Published claims compared with what was computed or measured here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.analysis.leaderboard import Leaderboard
from harness.analysis.table import Row
from harness.plan.claims import fits
from harness.suite.published import Claim
from harness.suite.schema import CellAxes


@dataclass(frozen=True)
class Judgement:
    """One claim with its verdict."""

    claim: Claim
    model: str
    """The model that it is about."""
    here: float | None
    """Our number."""
    how: str
    """`arithmetic`, `measured`, `read` or `–`."""
    verdict: str
    """`agrees`, `disagrees` or `not runnable here`."""
    why: str


def judge(planned: Sequence[Mapping[str, Any]], board: Leaderboard) -> list[Judgement]:
    """A verdict on every claim of a run's plan."""
    return [_judged(record, board) for record in planned]


def _judged(record: Mapping[str, Any], board: Leaderboard) -> Judgement:
    claim = Claim(**record["claim"])
    if claim.holds is not None:
        verdict = "agrees" if claim.holds == "yes" else "disagrees"
        return Judgement(claim, record["model"], None, "read", verdict, claim.finding)
    if record["arithmetic"] is not None:
        return _compared(claim, record["model"], record["arithmetic"], "arithmetic")
    axes = {"model": record["model"], **claim.cell}
    rows = [row for table in board.tables for row in table.rows if fits(axes, _axes(row))]
    means = [m for row in rows if claim.metric and (m := row.mean(claim.metric)) is not None]
    if means:
        return _compared(claim, record["model"], means[0], "measured")
    why = record.get("skip") or "no row of this run measures it"
    return Judgement(
        claim,
        record["model"],
        None,
        "–",
        "not runnable here",
        f"{why}. {claim.finding}".strip(". ") + ".",
    )


def _compared(claim: Claim, model: str, here: float, how: str) -> Judgement:
    value = claim.value or 0.0
    # relative to the larger one, so that the verdict does not depend on which is called published
    close = abs(here - value) <= claim.tolerance * max(abs(value), abs(here))
    ratio = f"{here / value:.3g} times the published number" if value and not close else ""
    why = ". ".join(part for part in (ratio, claim.finding) if part)
    return Judgement(claim, model, here, how, "agrees" if close else "disagrees", why)


def _axes(row: Row) -> CellAxes:
    """The axes that the row's seeds share."""
    return {**row.cells[0].axes, "seed": None}
