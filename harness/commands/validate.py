"""`harness validate` and `harness schema`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from harness.errors import HarnessError, SuiteError


@click.command()
@click.argument("suites", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--no-data", is_flag=True, help="Check the file alone: read no data, load no metric.")
def validate(suites: tuple[Path, ...], no_data: bool) -> None:
    """Check SUITES without running anything; every problem with its line.

    Keys, names, the rows of every data set, extra metrics and target modules are checked.

    Example: harness validate suites/finance.yaml
    """
    from harness.plan.check import Depth, check_suite
    from harness.scoring.extra import check_extra_metrics
    from harness.suite.shipped import find_suite

    depth = Depth(data=False) if no_data else Depth(hub=True, metrics=check_extra_metrics)
    failed = False
    for path in suites:
        try:
            path = find_suite(path)
            found = check_suite(path, depth)
            if found.problems:
                raise SuiteError(found.problems)
            click.echo(f"{path}: ok, {found.cells} cells")
            for note in found.notes:
                click.echo(f"  {note}")
        except HarnessError as error:
            failed = True
            click.echo(f"error: {error}", err=True)
    sys.exit(2 if failed else 0)


@click.command()
def schema() -> None:
    """Print the JSON Schema of a suite, for editors.

    Example: harness schema > docs/suite.schema.json
    """
    import json

    from harness.suite.json_schema import suite_schema

    click.echo(json.dumps(suite_schema(), indent=2, ensure_ascii=False))
