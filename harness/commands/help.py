"""`harness help`: a command's help, and what exit codes mean."""

from __future__ import annotations

import textwrap

import click

from harness.commands.as_json import AS_JSON, say_json
from harness.commands.ending import EXIT_CODES
from harness.results.text import say

TOPIC = "exit-codes"


@click.command("help")
@click.argument("words", nargs=-1, metavar="[COMMAND | exit-codes]")
@AS_JSON
@click.pass_context
def help_(context: click.Context, words: tuple[str, ...], as_json: bool) -> None:
    """Print the help of a command, or what exit codes mean.

    Example: harness help baseline update

    Example: harness help exit-codes
    """
    if words == (TOPIC,):
        if as_json:
            say_json({str(code): text for code, text in EXIT_CODES.items()})
        else:
            _print_codes()
        return
    assert context.parent is not None
    command, place = context.parent.command, context.parent
    for word in words:
        found = command.get_command(place, word) if isinstance(command, click.Group) else None
        if found is None:
            hint = f"`harness help` lists commands, `harness help {TOPIC}` exit codes."
            raise click.UsageError(f'no command "{" ".join(words)}". {hint}', context.parent)
        command, place = found, click.Context(found, info_name=word, parent=place)
    text = command.get_help(place)
    if as_json:
        say_json({"command": place.command_path, "help": text})
    else:
        say(text)


def _print_codes() -> None:
    for code, text in EXIT_CODES.items():
        lines = textwrap.wrap(text, 72)
        say(f"{code:>3}  {lines[0]}")
        for line in lines[1:]:
            say(f"     {line}")
