"""`harness validate` and `harness schema`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from harness.commands.as_json import AS_JSON, say_json
from harness.commands.completion import suites as complete_suites
from harness.commands.screen import say_fitted
from harness.errors import HarnessError, SuiteError
from harness.results.text import say


@click.command()
@click.argument(
    "suites",
    type=click.Path(path_type=Path),
    nargs=-1,
    required=True,
    shell_complete=complete_suites,
)
@click.option("--no-data", is_flag=True, help="Check the file alone: read no data, load no metric.")
@AS_JSON
def validate(suites: tuple[Path, ...], no_data: bool, as_json: bool) -> None:
    """Check suites without running anything.

    Keys, names, the rows of every data set, extra metrics and target modules are checked; every
    problem is named with its line.

    Example: harness validate suites/finance.yaml
    """
    from harness.api.suites import validate as check_suite

    failed = False
    records: list[dict[str, object]] = []
    for path in suites:
        try:
            found = check_suite(path, data=not no_data)
        except HarnessError as error:
            failed = True
            records.append({"path": str(path), "ok": False, "problems": _problems(error)})
            if not as_json:
                say(f"error: {error}", err=True)
            continue
        notes = list(found.notes)
        known = {"cells": found.cells, "notes": notes, "problems": []}
        records.append({"path": str(found.path), "ok": True, **known})
        if not as_json:
            say(f"{found.path}: ok, {found.cells} {'cell' if found.cells == 1 else 'cells'}")
            for note in notes:
                say_fitted(f"  {note}", "  ")
    if as_json:
        say_json(records)
    sys.exit(2 if failed else 0)


def _problems(error: HarnessError) -> list[str]:
    return list(error.problems) if isinstance(error, SuiteError) else [str(error)]


@click.command()
def schema() -> None:
    """Print the JSON Schema of a suite, for editors.

    Example: harness schema > docs/suite.schema.json
    """
    import json

    from harness.api.suites import schema as suite_schema

    say(json.dumps(suite_schema(), indent=2, ensure_ascii=False))
