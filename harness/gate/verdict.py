"""What a check of the gate found, how grave it is, and the exit code of all of them together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.analysis.difference import Delta
from harness.errors import CELL_FAILED
from harness.suite.gate_rules import Rule

Severity = Literal["pass", "warning", "regression", "failure", "incomparable"]
OUTCOMES: dict[str, Severity] = {
    "pass": "pass",
    "improved": "pass",
    "new-cell": "pass",
    "undecided": "warning",
    "not-compared": "warning",
    "known-failure": "warning",
    "warned": "warning",
    "regression": "regression",
    "baseline-outdated": "regression",
    "new-cell-refused": "incomparable",
    "missing-cell": "incomparable",
    "skipped-cell": "incomparable",
    "not-comparable": "incomparable",
    "no-examples": "incomparable",
    "not-a-number": "incomparable",
    "cell-failed": "failure",
}
"""Outcome of a check → its severity."""
EXIT_CODES: dict[Severity, int] = {"regression": 1, "failure": CELL_FAILED, "incomparable": 3}
"""Severity → exit code; other severities pass.

The first one here that occurs decides: a failed cell must not hide a regression.
"""


@dataclass(frozen=True)
class Check:
    """One rule applied to one row."""

    rule: Rule
    row: str
    metric: str
    outcome: str
    text: str
    """The finding in one sentence."""
    delta: Delta | None = None
    regressions: tuple[str, ...] = ()
    """Ids of the examples that lost most, the worst first."""

    @property
    def name(self) -> str:
        """The metric and the rule's test."""
        return f"{self.metric} ({self.rule.test})"

    @property
    def severity(self) -> Severity:
        """Severity of the outcome."""
        return OUTCOMES[self.outcome]

    @property
    def is_problem(self) -> bool:
        """Whether the check makes the gate fail."""
        return self.severity in EXIT_CODES

    @property
    def passed(self) -> bool:
        """Whether the check passed without even a warning."""
        return self.severity == "pass"


@dataclass(frozen=True)
class GateVerdict:
    """Every check of a run."""

    suite: str
    checks: tuple[Check, ...]

    @property
    def exit_code(self) -> int:
        """1: a regression; else 4: a failed cell; else 3: something not comparable; else 0."""
        found = {check.severity for check in self.checks}
        return next((code for severity, code in EXIT_CODES.items() if severity in found), 0)

    def ordered(self) -> list[Check]:
        """The checks: problems first, then warnings, then the rest."""
        return sorted(self.checks, key=lambda check: (not check.is_problem, check.passed))

    @property
    def summary(self) -> str:
        """One sentence. It never claims "no regression", only how large a loss is excluded."""
        counts: dict[str, int] = {}
        for check in self.checks:
            counts[check.outcome] = counts.get(check.outcome, 0) + 1
        totals = ", ".join(f"{n} {kind}" for kind, n in counts.items()) or "no rule applies"
        deltas = [check.delta for check in self.checks if check.delta]
        if self.exit_code or not deltas:
            return f"{self.suite}: {totals}"
        moved = [delta for delta in deltas if delta.won or delta.lost]
        if not moved:
            return f"{self.suite}: {totals}; every paired score is unchanged"
        bound = max(_largest_loss(delta) for delta in moved)
        return f"{self.suite}: {totals}; losses larger than {bound:.3g} are excluded"


def _largest_loss(delta: Delta) -> float:
    """The largest loss that a difference's interval leaves possible."""
    return max(0.0, -delta.low if delta.higher_is_better else delta.high)
