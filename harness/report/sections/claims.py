"""Published claims compared with our arithmetic and measurements."""

from __future__ import annotations

from collections import Counter

from harness.analysis.claims import Judgement, judge
from harness.analysis.leaderboard import Leaderboard
from harness.report.section import MISSING, Section, number


def claims(board: Leaderboard) -> Section:
    """A row per published claim: its value, ours, how ours was obtained, verdict and reason."""
    judgements = judge(board.run.suite.get("claims", ()), board)
    one = board.run.suite.get("source")
    notes = []
    for source in board.run.suite.get("sources", [one] if one else []):
        notes.append(f"{source['title']}; read: {source['read']}.")
        notes += [f"{name}: {text}" for name, text in source.get("readings", {}).items()]
    if judgements:
        counts = Counter(item.verdict for item in judgements)
        notes.append(", ".join(f"{n} {verdict}" for verdict, n in counts.items()) + ".")
    rows = tuple(_row(item) for item in judgements)
    columns = ("model", "claim", "published", "here", "by", "verdict", "why")
    return Section("Claims", tuple(notes), columns, rows)


def _row(item: Judgement) -> tuple[str, ...]:
    claim = item.claim
    unit = f" {claim.unit}" if claim.unit else ""
    published = MISSING if claim.value is None else f"{number(claim.value)}{unit}"
    here = MISSING if item.here is None else f"{number(item.here)}{unit}"
    about = claim.claim if not claim.conditions else f"{claim.claim} ({claim.conditions})"
    return item.model, about, published, here, item.how, item.verdict, item.why or MISSING
