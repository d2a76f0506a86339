"""The `harness` command, assembled from ``harness/commands/``."""

from __future__ import annotations

import os
from typing import Any

import click

from harness import __version__
from harness.commands.check import baseline, check
from harness.commands.compare import compare
from harness.commands.import_ import import_
from harness.commands.models import models
from harness.commands.predict import predict
from harness.commands.report import pack, report, score, show
from harness.commands.run import plan, run
from harness.commands.validate import schema, validate
from harness.errors import HarnessError
from harness.results.text import say


class _Group(click.Group):
    """Prints what a user can fix without a traceback, and exits with the error's code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except HarnessError as error:
            say(f"error: {error}", err=True)
            ctx.exit(error.exit_code)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Which fine-tuned variant to ship, and is the gain real."""


COMMANDS = (
    run, plan, validate, schema, report, pack, score, show, compare, check, baseline, import_,
    models, predict,
)  # fmt: skip
for command in COMMANDS:
    main.add_command(command)


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
