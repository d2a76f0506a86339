"""`harness validate` and `harness schema`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from harness.errors import HarnessError
from harness.results.text import say


@click.command()
@click.argument("suites", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--no-data", is_flag=True, help="Check the file alone: read no data, load no metric.")
def validate(suites: tuple[Path, ...], no_data: bool) -> None:
    """Check suites without running anything.

    Keys, names, the rows of every data set, extra metrics and target modules are checked; every
    problem is named with its line.

    Example: harness validate suites/finance.yaml
    """
    from harness.api.suites import validate as check_suite

    failed = False
    for path in suites:
        try:
            found = check_suite(path, data=not no_data)
            say(f"{found.path}: ok, {found.cells} {'cell' if found.cells == 1 else 'cells'}")
            for note in found.notes:
                say(f"  {note}")
        except HarnessError as error:
            failed = True
            say(f"error: {error}", err=True)
    sys.exit(2 if failed else 0)


@click.command()
def schema() -> None:
    """Print the JSON Schema of a suite, for editors.

    Example: harness schema > docs/suite.schema.json
    """
    import json

    from harness.api.suites import schema as suite_schema

    say(json.dumps(suite_schema(), indent=2, ensure_ascii=False))
