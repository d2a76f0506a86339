"""The gate's verdict as a comment on a pull request: at most 25 lines, updated in place.

The text of a model is shown in code spans: a mention or a link in an answer would otherwise call
people and leave the page.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.counting import counted
from harness.gate.render import lost_examples
from harness.gate.verdict import Check, GateVerdict
from harness.report.section import shortened
from harness.results.run import Run
from harness.results.text import printable

ROWS = 8
"""Most checks in the table."""
WIDTH = 160
"""Most characters of a text in a cell of a table."""
SIGNS = {0: "✅", 1: "❌", 3: "⚠️", 4: "❌"}
"""Exit code → the sign before the verdict."""


def marker(suite: str) -> str:
    """The first line of the comment, by which the next run finds and replaces it."""
    return f"<!-- harness check: {re.sub(r'[^A-Za-z0-9_.]+', '-', suite).strip('-')} -->"


def as_comment(verdict: GateVerdict, run: Run, link: str | None = None) -> str:
    """The comment: verdict, what changed, the worst flipped example, and where the rest is."""
    sign = SIGNS.get(verdict.exit_code, "❌")
    lines = [marker(verdict.suite), f"### {sign} {_text(verdict.summary)}", ""]
    lines += _changes(verdict)
    lines += _worst(verdict, run)
    rest = f"[The whole report]({link}), or" if link else "For more:"
    lines.append(f"{rest} `harness check` of {_code(run.directory.name)}.")
    return "\n".join(lines) + "\n"


def _changes(verdict: GateVerdict) -> list[str]:
    """A table of the checks that found a change, problems first; one line if none did."""
    changed = [check for check in verdict.ordered() if _has_changed(check)]
    same = len(verdict.checks) - len(changed)
    if not changed:
        return [f"Nothing changed in {counted(same, 'check')}.", ""]
    groups = _alike(changed)
    rows = [
        (_code(one.outcome), _code(one.row) if not others else counted(len(others) + 1, "cell"),
         _code(one.name), _text(one.text))
        for one, *others in groups[:ROWS]
    ]  # fmt: skip
    table = ["| outcome | cell | rule | found |", "| --- | --- | --- | --- |"]
    table += [f"| {' | '.join(row)} |" for row in rows]
    hidden = sum(map(len, groups[ROWS:]))
    parts = [f"{hidden} more that changed"] if hidden else []
    parts += [f"{same} without a change"] if same else []
    return [*table, "", *([f"And {', '.join(parts)}.", ""] if parts else [])]


def _alike(checks: Sequence[Check]) -> list[list[Check]]:
    """``checks`` in their order; those not compared for one reason are one row of the table.

    Each of a suite's skipped cells would otherwise take a row, and leave none for what changed.
    """
    groups: dict[tuple[object, ...], list[Check]] = {}
    for place, check in enumerate(checks):
        alike = check.outcome == "not-compared"
        groups.setdefault((check.name, check.text) if alike else (place,), []).append(check)
    return list(groups.values())


def _has_changed(check: Check) -> bool:
    moved = check.delta is not None and bool(check.delta.won or check.delta.lost)
    return moved or check.outcome != "pass"


def _worst(verdict: GateVerdict, run: Run) -> list[str]:
    """The example that lost most, of the first check that has one."""
    for check in verdict.ordered():
        for prompt, reference, answer in lost_examples(check, run)[:1]:
            name = f"{_code(check.regressions[0])} of {_code(check.row)}"
            return [
                f"The example that lost most {_code(check.metric)}: {name}",
                "",
                "| prompt | reference | answer now |",
                "| --- | --- | --- |",
                f"| {_code(prompt)} | {_code(reference)} | {_code(answer)} |",
                "",
            ]
    return []


def _code(text: str) -> str:
    """``text`` as it is, in a code span that it cannot leave."""
    flat = shortened(" ".join(printable(text).split()), WIDTH)
    safe = flat.replace("`", "ˋ").replace("|", "\\|")  # a table ends a cell at | in code, too
    return f"`{safe}`" if safe else "–"


def _text(text: str) -> str:
    """``text`` as prose, without markup, links and mentions."""
    flat = shortened(" ".join(printable(text).split()), WIDTH)
    flat = re.sub(r"[\\`*_\[\]<>|#~]", lambda found: f"\\{found[0]}", flat)
    # a mention would notify somebody, and a bare address becomes a link
    return re.sub(r"@(?=\w)", "@\u200b", flat).replace("://", ":\u200b//")
