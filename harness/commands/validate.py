"""`harness validate` and `harness schema`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from harness.errors import HarnessError


@click.command()
@click.argument("suites", type=click.Path(path_type=Path), nargs=-1, required=True)
def validate(suites: tuple[Path, ...]) -> None:
    """Check SUITES without running anything; every problem with its line.

    Example: harness validate suites/finance.yaml
    """
    from harness.plan.expand import expand
    from harness.suite.loading import load_suite
    from harness.suite.shipped import find_suite

    failed = False
    for path in suites:
        try:
            path = find_suite(path)
            cells = expand(load_suite(path), path)
            click.echo(f"{path}: ok, {len(cells)} cells")
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
