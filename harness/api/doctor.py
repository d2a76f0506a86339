"""What this machine can do, and what of a suite can run on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.api.arguments import StrPath
from harness.doctor import suite as of_suite
from harness.doctor import surroundings, training
from harness.doctor.finding import Finding as Finding
from harness.errors import UNFIT, HarnessError
from harness.extras import is_installed
from harness.plan.machine import gpus
from harness.suite.shipped import find_suite
from harness.user_path import typed


@dataclass(frozen=True)
class Examined:
    """What `examine` found."""

    findings: tuple[Finding, ...]

    def exit_code(self, *, strict: bool = False) -> int:
        """0 if nothing is broken and some cells can run; ``strict``: all of them."""
        failed = any(each.state == "fail" for each in self.findings)
        missing = any(each.area == of_suite.AREA and each.state == "warn" for each in self.findings)
        return UNFIT if failed or (strict and missing) else 0

    @property
    def record(self) -> dict[str, object]:
        """All findings, as `--json` prints them."""
        return {
            "ok": not any(each.state == "fail" for each in self.findings),
            "findings": [each.record for each in self.findings],
        }


def examine(suite: StrPath | None = None, *, output: StrPath | None = None) -> Examined:
    """Look at accelerators, libraries, hub, caches, disk and tools, and at what a suite needs.

    torch and bitsandbytes are tried in a process of their own: a broken one is a finding.

    Args:
        suite: A suite's path, or the name of a shipped one.
        output: Its run directory; default ``runs/<suite>``.

    Raises:
        HarnessError: there is no such suite.
    """
    path = find_suite(Path(suite)) if suite is not None else None
    steps = training.probed() if is_installed("torch") else {}
    found = [
        *training.findings(steps),
        *surroundings.findings(Path(output) if output else Path("runs")),
    ]
    if path is not None:
        found += _of_suite(path, Path(output) if output else None, steps)
    return Examined(tuple(found))


def _of_suite(
    path: Path, output: Path | None, steps: dict[str, dict[str, object]]
) -> list[Finding]:
    from harness.api.suites import plan

    try:
        made = plan(path, output=output)
    except HarnessError as error:
        hint = f"`harness validate {typed(path)}` names the lines."
        return [Finding(of_suite.AREA, path.name, "fail", str(error), hint)]
    return list(of_suite.findings(made, steps, bool(gpus())))
