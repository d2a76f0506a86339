"""The decision for each data set in a few lines: what to do, the gain, and what speaks against it.

All of it, the axes and the way to more fit 20 lines of 80 columns: the answer is still on the
screen when the next prompt appears. Three data sets have six lines each; of more each has fewer,
down to three: what to do, gain and cost, doubts.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from harness.analysis.cautions import run_cautions
from harness.analysis.contrasts import AxisDifferences, Contrast
from harness.analysis.decision import Decision, decisions
from harness.analysis.leaderboard import Leaderboard
from harness.analysis.wording import joined
from harness.counting import counted
from harness.report.section import shortened
from harness.suite.schema import BASE

LINES, FEWEST = 6, 3
"""Most lines for a data set, and those that each has however many there are."""
TOGETHER = 18
"""Lines of all data sets, if each needs no more than `FEWEST`."""
INDENT = "  "
MORE = "--full has the rest"


def card(board: Leaderboard, width: int = 80) -> list[str]:
    """The card of every data set, then one line for the axes and one that leads to the rest."""
    made = decisions(board)
    room = max(FEWEST, min(LINES, TOGETHER // max(1, len(made))))
    lines = [line for each in made for line in decision_lines(each, width, room)]
    axes = decided_by_axis(board.along.values())
    notes = [f"By axis: {axes}"] if axes else []
    left_out = "; ".join(_left_out(board))
    notes.append(f"{shortened(left_out, width - len(MORE) - 2)}; {MORE}" if left_out else MORE)
    return lines + [shortened(note, width) for note in notes]


def _left_out(board: Leaderboard) -> list[str]:
    """`3 cells failed: out of memory`, for each status without a result, gravest first."""
    found = []
    for status in ("failed", "missing", "skipped"):
        reasons = [cell.reason or "" for cell in board.run.cells if cell.status == status]
        if reasons:
            many = counted(len(reasons), "cell")
            found.append(f"{many} {status}: {reasons[0].rstrip('.')}")
    return found


def decision_lines(each: Decision, width: int, most: int = LINES) -> list[str]:
    """At most ``most`` lines: dataset and headline, gain and cost, doubts, what else was found.

    What does not fit ends in …; the whole of it is in `full_card`.
    """
    facts = _facts(each, width, 2 if most == LINES else 1)
    # one line is kept for the doubts: a gain must not be read without them
    head = _wrapped(f"{each.dataset}: {_plain(each.headline)}", width, most - len(facts) - 1)
    shorts = [c.short for c in each.cautions if c.short and not _is_in(c.short, each.headline)]
    fell = [fall.text for fall in each.fallen.falls] if each.fallen else []
    rest = [f"Got worse: {joined(fell)}."] if fell else []
    rest += [f"Careful: {'; '.join(shorts)}."] if shorts else []
    rest += each.more
    room = most - len(head) - len(facts)
    return [*head, *facts, *(INDENT + shortened(_plain(t), width - 2) for t in rest[:room])]


def _facts(each: Decision, width: int, most: int) -> list[str]:
    """Gain and cost in at most ``most`` lines; on one, without what the gain is counted over."""
    texts = [_plain(text) for text in each.facts]
    if most == 1 and len("; ".join(texts)) > width - len(INDENT):
        gain = texts[0].replace(" over its baseline", "")
        texts[0] = gain[: gain.index(")") + 1] if ")" in gain else gain
    return [INDENT + line for line in _wrapped("; ".join(texts), width - len(INDENT), most)]


def _is_in(short: str, headline: str) -> bool:
    """Whether a headline says it already, perhaps in other words after its beginning."""
    return short.partition(":")[0] in headline


def full_card(board: Leaderboard, width: int = 80) -> list[str]:
    """Every sentence of the decisions and every caution, wrapped and never cut."""
    lines = []
    for each in decisions(board):
        lines += _wrapped(f"{each.dataset}: {_plain(each.headline)}", width, None)
        fell = [f"Got worse: {fall.text}." for fall in each.fallen.falls] if each.fallen else []
        for text in (*each.sentences()[1:], *fell):
            lines += [INDENT + line for line in _wrapped(_plain(text), width - 2, None)]
        lines.append("")
    for caution in run_cautions(board.deciding):
        lines += _wrapped(caution.text, width, None)
    return lines


def _plain(text: str) -> str:
    """``text`` without code marks, which a terminal does not draw."""
    return text.replace("`", "")


def _wrapped(text: str, width: int, most: int | None) -> list[str]:
    """``text`` in lines of ``width``, the later ones indented; cut with … after ``most``."""
    if not text:
        return []
    inner = textwrap.TextWrapper(
        width, subsequent_indent=INDENT, max_lines=most, placeholder=" …", break_on_hyphens=False
    )
    return inner.wrap(text)


def decided_by_axis(along: Iterable[AxisDifferences]) -> str:
    """The decided contrasts in a few words; those with the untouched model are on the card."""
    texts = []
    for each in along:
        for name in dict.fromkeys(c.name for c in each.contrasts):
            members = [c for c in each.contrasts if c.name == name]
            if BASE not in (members[0].first, members[0].second):
                texts += _decided(name, members)
    return "; ".join(texts)


def _decided(name: str, members: Sequence[Contrast]) -> list[str]:
    by_verdict: dict[str, list[str]] = {}
    for each in members:
        if each.delta and each.delta.verdict in ("better", "worse", "equivalent"):
            by_verdict.setdefault(each.delta.verdict, []).append(each.dataset)
    return [f"{name} {verdict} on {joined(names)}" for verdict, names in by_verdict.items()]
