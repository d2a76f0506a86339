"""`harness clean`."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.as_json import say_json
from harness.commands.completion import suites as complete_suites
from harness.commands.run import BACKEND, PATH
from harness.counting import counted
from harness.results.text import say

SHOWN = 20
"""Most lines of a list."""


@click.command()
@click.argument("suite", type=PATH, shell_complete=complete_suites)
@click.option("-o", "--output", type=PATH, help="Run directory; default runs/<suite>.")
@BACKEND
@click.option("--tiny", is_flag=True, help="The run of the suite's tiny twin.")
@click.option("--dry-run", is_flag=True, help="List it and stop.")
@click.option("-y", "--yes", is_flag=True, help="Delete without asking.")
@click.option("--json", "as_json", is_flag=True, help="As JSON; with --dry-run or --yes.")
def clean(
    suite: Path, output: Path | None, backend: str, tiny: bool, dry_run: bool, yes: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Delete what a run holds of earlier settings of its suite.

    These are cells of earlier settings, with their adapters, and files that writers left half
    written when they were killed. Cells of the suite, of the last run, and caches are kept.

    Example: harness clean suites/finance.yaml
    """
    from harness.api.cleaning import to_clean

    if as_json and not (dry_run or yes):
        raise click.UsageError("--json asks nothing: add --dry-run or --yes")
    found = to_clean(suite, output=output, tiny=tiny, backend=backend)
    if as_json:
        if not dry_run:
            found.delete()
        entries = [{"path": str(path), "bytes": size} for path, size in found.found]
        say_json({"deleted": not dry_run, "bytes": found.size, "entries": entries})
        return
    if not found.found:
        say("nothing to delete")
        return
    for path, size in found.found[:SHOWN]:
        say(f"{size / 2**20:8.1f} MiB  {path}")
    if len(found.found) > SHOWN:
        say(f"… and {len(found.found) - SHOWN} more")
    total = f"{counted(len(found.found), 'entry', 'entries')}, {found.size / 2**20:.1f} MiB"
    if dry_run:
        say(f"{total}: not deleted (--dry-run)")
        return
    if not yes:
        click.confirm(f"Delete {total}?", abort=True)
    found.delete()
    say(f"deleted {total}")
