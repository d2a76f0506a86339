"""What servers said of themselves, and how their answers ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.analysis.leaderboard import Leaderboard
from harness.endpoint.chat import server_name
from harness.report.section import MISSING, Section, number

COLUMNS = (
    "model", "data set", "asked for", "the server says", "asked as", "answers ended",
    "from the cache", "sent again", "tokens in / out", "end to end p50 s",
)  # fmt: skip
NOTES = (
    "A served model is scored as it is deployed: its server chose the weights, the precision, the"
    " chat template and the stop tokens. What was sent is known here, what it loaded is not.",
    "`end to end` is the median time of a request, over the network and in the server's queue. It"
    " is no decoding latency: it is in no ranking and is not compared with that of local models.",
)


def served(board: Leaderboard) -> Section:
    """A row for each finished cell that a server answered."""
    rows = [
        (cell.model, cell.dataset, *_row(cell.facts["served"]))
        for cell in board.run.cells
        if cell.status == "ok" and cell.facts.get("served")
    ]
    return Section("Served models", NOTES if rows else (), COLUMNS if rows else (), tuple(rows))


def _row(facts: Mapping[str, Any]) -> tuple[str, ...]:
    servers = [
        server_name(each["model"], each["system_fingerprint"]) or "nothing"
        for each in facts["servers"]
    ]
    ends = ", ".join(f"{count} {end}" for end, count in sorted(facts["finish_reasons"].items()))
    seconds = facts.get("seconds_end_to_end_p50")
    answers = facts["asked"] + facts["from_cache"]
    return (
        facts["model"],
        "; ".join(servers),
        facts["path"],
        ends,
        f"{facts['from_cache']} of {answers}",
        str(facts["retries"]),
        f"{facts['prompt_tokens']} / {facts['new_tokens']}",
        MISSING if seconds is None else number(seconds),
    )
