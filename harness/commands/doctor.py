"""`harness doctor`: what this machine can do, and what of a suite can run here."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.as_json import AS_JSON, say_json
from harness.commands.completion import suites as complete_suites
from harness.results.text import console, printable

if TYPE_CHECKING:
    from rich.console import Console

    from harness.api.doctor import Finding

MARKS = {"ok": ("ok", "green"), "note": ("–", ""), "warn": ("!", "yellow"), "fail": ("✗", "red")}
"""State → its mark, and the colour of it."""
IN_ONE_LINE = ("packages", "kernels", "extras")
"""Areas whose good findings share a line: a dozen lines of `ok` hide the one that is not."""


INDENT = 5


@click.command()
@click.argument(
    "suite", required=False, type=click.Path(path_type=Path), shell_complete=complete_suites
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The suite's run directory.")
@click.option("--strict", is_flag=True, help="A cell that cannot run is a failure.")
@AS_JSON
def doctor(suite: Path | None, output: Path | None, strict: bool, as_json: bool) -> None:
    """Check what this machine can do and what a suite lacks.

    Accelerators, package versions, bitsandbytes' kernels (each is run), the hub, caches, disk,
    and tools; nothing is downloaded. With a suite: which cells can run, why the others cannot,
    what would be fetched, and how much disk it takes. Exit code 5 if something is broken or no
    cell can run.

    Example: harness doctor suites/finance.yaml
    """
    from harness.api.doctor import examine

    found = examine(suite, output=output)
    if as_json:
        say_json(found.record)
    else:
        _print(found.findings, console())
    sys.exit(found.exit_code(strict=strict))


def _print(findings: Sequence[Finding], screen: Console) -> None:
    from rich.text import Text

    areas: dict[str, list[Finding]] = {}
    for finding in findings:
        areas.setdefault(finding.area, []).append(finding)
    for area, members in areas.items():
        screen.print(Text(area, "bold"))
        good = [each for each in members if each.state == "ok"]
        if area in IN_ONE_LINE and good:
            texts = [f"{f.name} {f.text}" if area == "packages" else f.name for f in good]
            _line(screen, "ok", ", ".join(texts))
        for finding in members:
            if finding.state == "ok" and area in IN_ONE_LINE:
                continue
            _line(screen, finding.state, f"{finding.name}: {finding.text}")
            if finding.hint:
                _line(screen, "", finding.hint)
    bad = [finding for finding in findings if finding.state == "fail"]
    names = ", ".join(dict.fromkeys(finding.name for finding in bad))
    screen.print(Text(printable(f"not ready: {names}" if bad else "nothing is broken")))


def _line(screen: Console, state: str, text: str) -> None:
    """``text`` behind its mark, its further lines below each other."""
    from rich.text import Text

    mark, colour = MARKS.get(state, ("", ""))
    lines = textwrap.wrap(printable(text), max(20, screen.width - INDENT), break_on_hyphens=False)
    for number, line in enumerate(lines):
        shown = Text(f"  {mark if number == 0 else '':<{INDENT - 2}}", colour)
        screen.print(shown.append(line, "default" if state else "dim"), soft_wrap=True)
