"""A judge's verdicts: who won, how often the order decided, and how far people agree."""

from __future__ import annotations

from harness.analysis.judged import JudgedRow, JudgedRun, judged_run
from harness.analysis.leaderboard import Leaderboard
from harness.analysis.wording import brief
from harness.counting import agreeing, counted
from harness.endpoint.chat import server_name
from harness.report.section import MISSING, Section
from harness.results.judgements import JudgeRecord

COLUMNS = (
    "variant", "against", "data set", "pairs", "won", "lost", "tied", "of these by order",
    "same answer", "no verdict", "win rate [95%]", "p (Holm)", "verdict",
)  # fmt: skip
METHOD = (
    "A model compared the answers in pairs, each pair twice with the order swapped. Who wins both"
    " ways round has won; if the verdict follows the order, or either is a tie, it is a tie. A tie"
    " counts half. 0.5 means no difference.",
    "The interval is over examples (and over seeds, if there are several). It does not cover the"
    " judge: another model, or other criteria, may prefer other answers. Judges tend to prefer"
    " longer answers and those of their own family, and an answer that speaks to the judge may"
    " sway it.",
)


def judged(board: Leaderboard) -> Section:
    """A row for each variant that a judge compared with its reference."""
    found = judged_run(board.run)
    if found is None:
        return Section("Judge")
    notes = (
        *METHOD,
        _who(found.record),
        _agreement(found),
        _bias(found),
        _cost(found.record),
        *_lost(found),
        *found.record.notes,
    )
    rows = tuple(_row(row) for row in found.rows)
    return Section("Judge", tuple(filter(None, notes)), COLUMNS, rows)


def _row(row: JudgedRow) -> tuple[str, ...]:
    delta, rate = row.delta, row.win_rate
    shown = MISSING if rate is None else "{:.3f} [{:.3f}, {:.3f}]".format(*rate)
    p = None if delta is None else delta.p_adjusted
    return (
        row.second, row.first, row.dataset, str(len(row.verdicts)), str(row.count("second")),
        str(row.count("first")), str(row.count("tie")), str(row.inconsistent), str(row.same),
        str(row.failures), shown, MISSING if p is None else f"{p:.3g}",
        MISSING if delta is None else delta.verdict,
    )  # fmt: skip


def _who(record: JudgeRecord) -> str:
    name = (record.settings.get("endpoint") or {}).get("model", "unknown")
    said = ", ".join(
        server_name(str(s["model"]), str(s["system_fingerprint"])) or "nothing"
        for s in record.servers
    )
    criteria = " ".join(str(record.settings.get("criteria", "")).split())
    return f"Judge: {name} (its server says: {said or 'nothing'}). Criteria: “{criteria}”"


def _agreement(found: JudgedRun) -> str:
    people = found.with_people
    if people is None:
        return (
            "Not compared with people: no labelled sample (`harness judge RUN --sample 50`). How"
            " far this judge can be trusted here is unknown."
        )
    low, high = people.share_interval
    text = (
        f"Agreement with people on {counted(people.n, 'labelled pair')}: {people.share:.1%}"
        f" [{low:.1%}, {high:.1%}]"
    )
    if people.kappa is None or people.kappa_interval is None:
        return f"{text}; all of one kind, so that chance would agree, too (no kappa)."
    low, high = people.kappa_interval
    return f"{text}; Cohen's kappa {people.kappa:.2f} [{low:.2f}, {high:.2f}], 0 being chance."


def _bias(found: JudgedRun) -> str:
    """How often place and length went with the verdict."""
    first, decided = found.first_shown
    longer, pairs = found.longer_won
    parts = []
    if decided:
        parts.append(f"the answer shown first won {first} of {counted(decided, 'decided verdict')}")
    if pairs:
        parts.append(f"the longer answer won {longer} of {counted(pairs, 'decided pair')}")
    return f"Bias: {'; '.join(parts)}. About half would be none." if parts else ""


def _cost(record: JudgeRecord) -> str:
    text = (
        f"Cost: {counted(record.asked, 'request')} asked now and {record.from_cache} from the"
        f" cache; {counted(record.asked_prompt_tokens, 'token', separated=True)} in and"
        f" {record.asked_new_tokens:,} out now"
    )
    price = record.settings.get("price")
    if price:
        paid = record.asked_prompt_tokens * price["input"]
        paid = (paid + record.asked_new_tokens * price["output"]) / 1e6
        whole = record.prompt_tokens * price["input"] + record.new_tokens * price["output"]
        text += (
            f", {brief(paid)} {price['currency']}; all verdicts together"
            f" {brief(whole / 1e6)} {price['currency']}"
        )
    return f"{text}. {counted(record.retries, 'request was', 'requests were')} sent again."


def _lost(found: JudgedRun) -> list[str]:
    """Verdicts that are missing, or on answers that are gone."""
    notes = []
    failures = found.record.failures
    if failures:
        words = {
            "error": "the judge's server refused or failed",
            "cut": "the verdict was cut at `max_tokens`",
            "no verdict": "the judge named no winner that could be read",
        }
        parts = [f"{count}: {words.get(why, why)}" for why, count in sorted(failures.items())]
        notes.append(f"Pairs without a verdict, which do not count: {'; '.join(parts)}.")
    stale = sum(row.stale for row in found.rows)
    if stale:
        notes.append(
            f"{counted(stale, 'verdict is', 'verdicts are')} on answers that a later run replaced,"
            f" and {agreeing(stale, 'does', 'do')} not count: `harness judge` asks again."
        )
    return notes
