"""Write the reference pages beside this file: ``python docs/reference/generate.py``.

A test compares the pages with what this gives (`tests/test_docs.py`).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

HERE = Path(__file__).parent
NOTE = "<!-- Written by docs/reference/generate.py; edit the program, not this page. -->\n"
BLOCKS = {
    "": "The suite",
    "Matrix": "`matrix`: the axes",
    "ModelEntry": "An entry of `matrix.model`",
    "ModelCard": "A model card: `models/NAME.yaml`, or `card` of an entry",
    "Requirement": "`requires` of a model card",
    "Endpoint": "`endpoint`: a served model",
    "QuantizationEntry": "An entry of `matrix.quantization`",
    "AdapterEntry": "An entry of `matrix.adapter`",
    "DatasetEntry": "An entry of `matrix.dataset`",
    "TrainingEntry": "An entry of `matrix.training`: a sweep",
    "Evaluation": "`evaluation`",
    "Gate": "`gate`",
    "Rule": "A rule of `gate.rules`",
    "Objectives": "`objectives`",
    "Judge": "`judge`: a model that compares answers",
    "Price": "`judge.price`",
    "Tiny": "`tiny`: the tiny twin",
    "PublishedSource": "`source` of an audit",
    "Claim": "A claim under `published`",
}
"""Definition of the schema → the heading that it gets, in the order of the page."""


REFERENCES = {
    "Matrix": "the axes (below)",
    "Evaluation": "keys (below)",
    "EvaluationKeys": "keys of `evaluation`",
    "TrainingKeys": "keys of `training`",
    "GenerationKeys": "keys of `generation`",
    "QuantizationKeys": "keys of `BitsAndBytesConfig`",
    "ModelCard": "a model card",
    "Requirement": "keys (below)",
    "Endpoint": "keys (below)",
    "Judge": "keys (below)",
    "Price": "keys (below)",
    "Gate": "keys (below)",
    "Objectives": "keys (below)",
    "Tiny": "keys (below)",
    "PublishedSource": "keys (below)",
    "Claim": "claims (below)",
    "Rule": "rules (below)",
}
"""Definition of the schema → how a table names it."""


def suite_page() -> str:
    """Every key of a suite with its kind, default and meaning."""
    from harness.suite.json_schema import suite_schema
    from harness.suite.options import OWN_KEYS

    schema = suite_schema()
    lines = [
        NOTE, "# Suite reference", "",
        "A suite is a YAML file. For completion and checks in your editor, point its YAML language",
        "server to [suite.schema.json](../suite.schema.json):", "",
        "```yaml", "# yaml-language-server: $schema=suite.schema.json", "```", "",
        "`training` takes the keys of TRL's `SFTConfig`, `generation` those of transformers'",
        "`GenerationConfig`, an adapter's `config` those of its PEFT method and a quantization's",
        "`config` those of `BitsAndBytesConfig`, all by their own names. A misspelt key is refused",
        "with the nearest right one. `training` has these keys besides:", "",
        "| key | meaning |", "|---|---|",
        *(f"| `{key}` | {text} |" for key, text in OWN_KEYS.items()), "",
    ]  # fmt: skip
    for name, title in BLOCKS.items():
        block = schema["$defs"][name] if name else schema
        lines += [f"## {title}", "", *_table(block), ""]
    return "\n".join(lines)


def _table(block: dict[str, Any]) -> Iterator[str]:
    required = block.get("required", [])
    yield "| key | kind | default | meaning |"
    yield "|---|---|---|---|"
    for key, field in block["properties"].items():
        default = "required" if key in required else _default(field)
        text = " ".join(field.get("description", "").split()).replace("|", "\\|")
        yield f"| `{key}` | {_kind(field)} | {default} | {text} |"


def _default(field: dict[str, Any]) -> str:
    value = field.get("default")
    if value in (None, "") or isinstance(value, dict | list):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _kind(field: dict[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(f"`{choice}`" for choice in field["enum"][:8])
    if "anyOf" in field:
        kinds = [_kind(choice) for choice in field["anyOf"]]
        return " or ".join(dict.fromkeys(kind for kind in kinds if kind != "null"))
    if "$ref" in field:
        return REFERENCES.get(field["$ref"].rsplit("/", 1)[1], "an entry (below)")
    if field.get("type") == "array":
        return f"list of {_kind(field.get('items', {})) or 'values'}"
    if "const" in field:
        return f"`{field['const']}`"
    kind = field.get("type", "")
    words = {"object": "keys and values", "string": "text", "integer": "whole number"}
    return words.get(kind, kind)


def commands_page() -> str:
    """Every command with its options, as `--help` has them."""
    from harness.cli import main
    from harness.commands.ending import EXIT_CODES

    lines = [
        NOTE, "# Command reference", "",
        "| exit code | meaning |", "|---|---|",
        *(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()), "",
    ]  # fmt: skip
    for name, command in _commands(main, "harness"):
        lines += [f"## `{name}`", "", *_command(name, command), ""]
    return "\n".join(lines)


def exit_codes_page() -> str:
    """What each exit code means, and how a script tells them apart."""
    from harness.commands.ending import EXIT_CODES

    rows = [f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()]
    lines = [
        NOTE, "# Exit codes", "",
        "`harness help exit-codes` prints this table, with `--json` for a script.", "",
        "| code | meaning |", "|---|---|", *rows, "",
        "Exit code 1 is a regression and nothing else, so a build can trust it. A script that",
        "treats a broken set-up differently from a worse model looks at the number:", "",
        "```sh",
        "harness check runs/ci",
        "case $? in",
        "  0) echo fine ;;",
        "  1) echo \"a regression: look at runs/ci/leaderboard.html\"; exit 1 ;;",
        "  3) echo \"no baseline yet: harness baseline update runs/ci --reason first\" ;;",
        "  *) echo \"the gate did not run\"; exit 1 ;;",
        "esac",
        "```",
    ]  # fmt: skip
    return "\n".join(lines)


def _commands(group: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in sorted(getattr(group, "commands", {}).items()):
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _command(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=name)
    pieces = command.collect_usage_pieces(context)
    help_text = inspect.cleandoc((command.help or "").replace("\b\n", ""))
    text, _, example = help_text.partition("Example:")
    yield from [f"`{name} {' '.join(pieces)}`", "", text.strip(), ""]
    if example:
        yield from ["```sh", *(line.strip() for line in example.strip().splitlines()), "```", ""]
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    if options:
        yield "| option | meaning |"
        yield "|---|---|"
    for option in options:
        usage, text = option.get_help_record(context) or ("", "")
        # a bar would end the table's cell, a bracket begin a link
        shown = usage.replace("|", "/"), text.replace("|", "\\|").replace("[", "\\[")
        yield f"| `{shown[0]}` | {shown[1]} |"
    if options:
        yield ""


READ_FROM = {
    "number": "The number in an answer",
    "text": "The text of an answer",
    "label": "The label in an answer",
    "likelihood": "The likelihood of the reference",
    "answer": "How answers came out, and trivial answers",
    "control": "The control set",
    "measurement": "Time, memory, energy and sizes",
    "none": "Read from other tools' results",
}
"""What a metric reads → the heading of its table."""


def metrics_page() -> str:
    """Every registered metric with its unit and direction."""
    from harness.metrics.registry import registered

    lines = [
        NOTE, "# Metric reference", "",
        "Names are those of `primary_metric`, gate rules and `results.csv`. A metric without a",
        "direction is shown but never ranked. [Scoring](../scoring.md) says how answers are read,",
        "[measuring](../measuring.md) how times and memory are taken.", "",
    ]  # fmt: skip
    records = list(registered())
    for reads, title in READ_FROM.items():
        rows = [record for record in records if record.reads == reads]
        if rows:
            lines += [f"## {title}", "", "| metric | unit | better |", "|---|---|---|"]
            lines += [
                f"| `{r.name}` | {r.unit or '–'} | {_better(r.higher_is_better)} |" for r in rows
            ]
            lines.append("")
    return "\n".join(lines)


def _better(direction: bool | None) -> str:
    return "–" if direction is None else "higher" if direction else "lower"


PAGES = {
    "suite.md": suite_page,
    "commands.md": commands_page,
    "metrics.md": metrics_page,
    "exit-codes.md": exit_codes_page,
}
"""Page → what writes it."""


if __name__ == "__main__":
    for name, page in PAGES.items():
        (HERE / name).write_text(page().rstrip("\n") + "\n", encoding="utf-8")
        print(HERE / name)
