"""The `harness` command, assembled from ``harness/commands/``."""

from __future__ import annotations

import io
import os
import sys
import warnings
from typing import Any

import click

from harness import __version__
from harness.commands.check import baseline, check
from harness.commands.clean import clean
from harness.commands.compare import compare
from harness.commands.demo import demo
from harness.commands.doctor import doctor
from harness.commands.ending import ended
from harness.commands.export import export
from harness.commands.help import help_
from harness.commands.import_ import import_
from harness.commands.init import init
from harness.commands.interrupt import one_interrupt
from harness.commands.judge import judge
from harness.commands.merge import merge
from harness.commands.models import models
from harness.commands.predict import predict
from harness.commands.push import push
from harness.commands.report import pack, report, score, show
from harness.commands.run import plan, run
from harness.commands.validate import schema, validate


class _Group(click.Group):
    """Ends every command with a line for a person and a documented exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        _write_any_text()
        try:
            with one_interrupt():
                return super().invoke(ctx)
        except (click.exceptions.Exit, click.ClickException):
            raise  # click's own: `--help`, and wrong usage with exit code 2
        except (Exception, KeyboardInterrupt) as error:
            ctx.exit(ended(error))


def _write_any_text() -> None:
    """Let a terminal that knows no Cyrillic show it spelled out, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Which fine-tuned variant to ship, and is the gain real."""
    if not sys.warnoptions:
        # what a library will rename in its next version is nothing that a user can act on
        warnings.simplefilter("ignore", FutureWarning)
    if not sys.stderr.isatty():
        # huggingface_hub reads it when it is imported, and transformers asks huggingface_hub
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


COMMANDS = (
    init,
    doctor,
    run,
    plan,
    validate,
    schema,
    report,
    merge,
    pack,
    score,
    show,
    compare,
    check,
    baseline,
    import_,
    models,
    predict,
    push,
    export,
    judge,
    demo,
    clean,
    help_,
)
for command in COMMANDS:
    main.add_command(command)


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
