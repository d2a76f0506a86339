"""What a shell offers where a suite or a cell is asked for (click's own completion calls these)."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem


def suites(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Files, and the shipped suites that can be named without a path."""
    from harness.api.shipped import suite_names

    # a colon would be split by bash, and none of the names has one
    names = [CompletionItem(name) for name in suite_names() if name.startswith(incomplete)]
    return [*names, CompletionItem(incomplete, type="file")]


def cells(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The keys of the cells in the run that stands before."""
    from harness.results.paths import RunPaths, read_json

    try:
        plan = read_json(RunPaths(Path(context.params["run_dir"])).plan)
        keys = [str(cell["key"]) for cell in plan["cells"]]
    except (OSError, ValueError, LookupError, TypeError):
        return []  # a shell that completes has no place for a message
    return [CompletionItem(key) for key in keys if key.startswith(incomplete)]
