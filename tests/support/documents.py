"""What the documents say: their blocks, and the commands of `harness` in them."""

import json
import re
import shlex
from pathlib import Path
from typing import NamedTuple

import click

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").rglob("*.md")), ROOT / "docs" / "notebook.ipynb",
]  # fmt: skip
HISTORY = ("docs/log.md", "docs/decisions/")
"""Pages that quote what was: their commands are those of their day."""
SHELLS = ("sh", "bash", "console", "shell", "")
_BLOCK = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_PROMPT = re.compile(r"^(?:machine [A-Z])?\$ ")
_START = re.compile(r"(?:^!?|&& |^- run: |^run: )(?:\.venv/bin/)?(harness [^\n]*)")


class Block(NamedTuple):
    """A fenced block of a page."""

    page: Path
    language: str
    text: str
    line: int

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


class Command(NamedTuple):
    """A command line of `harness` in a page."""

    place: str
    words: tuple[str, ...]
    whole: bool
    """Whether it is meant to be typed as it is: in a block. In a sentence arguments are left out."""


def text_of(page):
    text = page.read_text()
    if page.suffix != ".ipynb":
        return text
    cells = json.loads(text)["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


def blocks(page, *languages):
    text = text_of(page)
    for found in _BLOCK.finditer(text):
        if found[2] in languages:
            inner = "\n".join(line.removeprefix(found[1]) for line in found[3].splitlines())
            yield Block(page, found[2], inner, text[: found.start()].count("\n") + 2)


def words_of(line):
    """The words of a command after `harness`, as a shell would split them, without redirections."""
    words = shlex.split(line, comments=True)[1:]
    ends = [words.index(w) for w in ("&&", "|", ">", ";", "||") if w in words]
    return tuple(words[: min(ends, default=len(words))])


def commands_of(block):
    """The commands in a block of shell lines or of YAML steps."""
    joined = block.text.replace("\\\n", " ")
    for line in joined.splitlines():
        found = _START.search(_PROMPT.sub("", line.strip()).removeprefix("Example: "))
        if found:
            yield Command(block.place, words_of(found[1]), whole=True)


def all_commands():
    for page in PAGES:
        name = str(page.relative_to(ROOT))
        if name.startswith(HISTORY):
            continue
        for block in blocks(page, *SHELLS, "yaml", "python"):
            yield from commands_of(block)
        outside = _BLOCK.sub("", text_of(page))
        for found in _INLINE.finditer(outside):
            usage = "[OPTIONS]" in found[1]  # click's own line, on a page that a test generates
            if found[1].startswith("harness ") and "…" not in found[1].split()[1] and not usage:
                yield Command(name, words_of(found[1]), whole=False)


def inline_options():
    """(page, option) of every option that a sentence names."""
    for page in PAGES:
        name = str(page.relative_to(ROOT))
        if not name.startswith(HISTORY):
            for found in _INLINE.finditer(_BLOCK.sub("", text_of(page))):
                if not found[1].startswith(("harness ", "-")):
                    continue  # another program's
                for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", found[1]):
                    yield name, found[1], option


def problem_of(main, command):
    """Why click would refuse ``command``; None if it would not. Nothing is run, no file looked at."""
    group, words = main, list(command.words)
    context = click.Context(main, info_name="harness")
    while isinstance(group, click.Group):
        if not words:
            return None if not command.whole else "no command is named"
        name = words.pop(0)
        if name in ("--help", "--version", "-h"):
            return None
        found = group.get_command(context, name)
        if found is None:
            return f"no command {name}"
        group, context = found, click.Context(found, parent=context, info_name=name)
    return _refused(group, context, words, whole=command.whole)


def _refused(command, context, words, *, whole):
    try:
        values, left, _ = command.make_parser(context).parse_args(words)
        if left:
            return f"unexpected {left}"
        for parameter in command.params:
            value = values.get(parameter.name)
            missing = parameter.value_is_missing(value) if value is not None else True
            if missing:
                if whole and parameter.required:
                    return f"{parameter.human_readable_name} is missing"
            elif not isinstance(parameter.type, click.Path):  # files are the reader's
                parameter.type_cast_value(context, value)
    except click.ClickException as error:
        return error.format_message()
    return None
