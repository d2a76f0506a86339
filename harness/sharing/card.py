"""The model card of a shared cell: the verdict first, then numbers, doubts and how to repeat it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness import __version__
from harness.analysis.cautions import run_cautions
from harness.analysis.decision import Decision, decide
from harness.analysis.difference import Delta
from harness.analysis.leaderboard import Leaderboard
from harness.analysis.table import Row, Table
from harness.counting import counted
from harness.metrics.meaning import title_of
from harness.plan.hub import is_hub_id
from harness.report.markdown import escaped, markdown_table
from harness.report.section import MISSING, mean_text, show_delta
from harness.results.result import CellResult
from harness.run.adapter_card import (
    card_metadata,
    settings_block,
    training_sentence,
    value_table,
)

Kind = Literal["adapter", "head adapter", "model"]
"""What the folder holds: an adapter on a language head, one with a classification head, a model."""
MOST_ROWS = 20
"""Variants in the table of what the cell was compared with."""


@dataclass(frozen=True)
class Subject:
    """What a card is about."""

    result: CellResult
    base: str
    """The base model's hub id, or a name where it is a folder of this machine."""
    repository: str
    """`owner/name`, where it will be."""
    kind: Kind = "adapter"
    has_suite: bool = True
    """Whether `suite.yaml` lies beside the card."""
    notes: tuple[str, ...] = ()
    """What was found while the folder was made."""


def model_card(board: Leaderboard, subject: Subject) -> str:
    """The card of ``subject``, the leaderboard's verdict and doubts included."""
    result = subject.result
    table = next(t for t in board.tables if t.dataset == result.dataset)
    row = next(r for r in table.rows if result.key in {cell.key for cell in r.cells})
    decision = decide(board, table)
    name = subject.repository.rpartition("/")[2]
    lines = [f"# {escaped(name)}", "", _what(subject), ""]
    lines += ["## Is it better?", "", *_verdict(decision, table, row), ""]
    lines += [*_compared(table, row), ""]
    lines += ["## What was measured", "", *value_table(result)]
    doubts = [c.text for c in (*decision.cautions, *run_cautions(board))]
    lines += ["## Read this before you rely on it", "", *_doubts(doubts, subject), ""]
    lines += ["## Use", "", *_usage(subject), "", "## Reproduce", "", *_reproduce(subject), ""]
    lines += settings_block(result)
    return card_metadata(result, source=subject.base, name=name) + "\n".join(lines)


def _what(subject: Subject) -> str:
    result = subject.result
    thing = "A fine-tuned model" if subject.kind == "model" else "An adapter"
    base = escaped(subject.base)
    link = f"[{base}](https://huggingface.co/{base})" if is_hub_id(subject.base) else base
    return f"{thing} for {link}, `{escaped(result.adapter)}`. {escaped(training_sentence(result))}"


def _verdict(decision: Decision, table: Table, row: Row) -> list[str]:
    """What the paired difference to the base says, and the report's verdict on the data set."""
    delta = row.deltas.get(table.primary_metric)
    if delta is None:
        why = row.incomparable or "the run has no result of the base on the same examples"
        line = f"Not known: {escaped(why)}."
    else:
        line = f"**{delta.verdict.capitalize()}**, in {title_of(table.primary_metric)}: "
        line += f"{show_delta(delta)} against its base. {_how_sure(delta)}"
    headline = escaped(decision.headline)
    return [line, "", f"The run's verdict on {escaped(table.dataset)}: {headline}"]


def _how_sure(delta: Delta) -> str:
    """What interval and p-value are of."""
    adjusted = delta.p_adjusted is not None
    p = delta.p_adjusted if adjusted else delta.p_value
    over = (
        f"95% interval over {delta.covers or 'examples'}, paired on the same"
        f" {counted(delta.n, 'example')}"
    )
    holm = ", by Holm's correction over the table" if adjusted else ""
    return f"{over}." if p is None else f"{over}; p = {p:.2g}{holm}."


def _compared(table: Table, own: Row) -> list[str]:
    """The variants of the run on the same data set, this one marked."""
    columns = ("variant", title_of(table.primary_metric), "Δ to its base [95%]", "verdict", "")
    shown = [row for k, row in enumerate(table.rows) if k < MOST_ROWS or row is own]
    more = len(table.rows) - len(shown)
    tail = ["", f"… and {counted(more, 'more variant')}."] if more else []
    return [*markdown_table(columns, [_row(table, row, own) for row in shown]), *tail]


def _row(table: Table, row: Row, own: Row) -> tuple[str, ...]:
    delta = row.deltas.get(table.primary_metric)
    difference = (show_delta(delta), delta.verdict) if delta else (MISSING, MISSING)
    mean = mean_text(row, table.primary_metric)
    return (row.name, mean, *difference, "this one" if row is own else "")


def _doubts(doubts: list[str], subject: Subject) -> list[str]:
    found = [*subject.notes, *doubts, *subject.result.audit.warnings]
    lines = [f"- {escaped(text)}" for text in dict.fromkeys(found)]
    return lines or ["- Nothing speaks against the numbers that the harness looks for."]


def _usage(subject: Subject) -> list[str]:
    """A few lines of Python that load it."""
    head = subject.result.answered_by == "head"
    auto = f"AutoModelFor{'SequenceClassification' if head else 'CausalLM'}"
    labels = f", num_labels={len(subject.result.labels)}" if head else ""
    load = [f'model = {auto}.from_pretrained("{subject.repository}")']
    imports = [f"from transformers import {auto}, AutoTokenizer"]
    if subject.kind != "model":
        base = subject.base if is_hub_id(subject.base) else f"path/to/{subject.base}"
        imports = ["from peft import PeftModel", *imports]
        load = [
            f'base = {auto}.from_pretrained("{base}"{labels})',
            f'model = PeftModel.from_pretrained(base, "{subject.repository}")',
        ]
    tokenizer = f'tokenizer = AutoTokenizer.from_pretrained("{subject.repository}")'
    return ["```python", *imports, "", *load, tokenizer, "```"]


def _reproduce(subject: Subject) -> list[str]:
    result = subject.result
    axes = {axis: value for axis, value in dict(result.axes).items() if value is not None}
    # the base is part of it: without it there is no difference to be seen
    wanted = {**axes, "adapter": f"base|{result.adapter}"}
    select = ",".join(f"{axis}={value}" for axis, value in wanted.items())
    command = f"harness run suite.yaml --select '{select}'"
    install = f"pip install 'finetune-harness[train]=={__version__}'"
    lines = ["```bash", install, command, "```", ""]
    lines += [f"It was made with {', '.join(_versions(result))}, on {_hardware(result)}.", ""]
    where = "`suite.yaml` lies beside this card; paths in it are cut to their last part."
    missing = "The run has no copy of its suite; the settings of this cell are below."
    return [*lines, where if subject.has_suite else missing]


def _versions(result: CellResult) -> list[str]:
    """`name version` of the packages that decide a result."""
    packages = result.provenance.environment.packages
    names = ("torch", "transformers", "peft", "trl", "bitsandbytes")
    found = [f"{name} {packages[name]}" for name in names if packages.get(name)]
    return found or ["packages that are not recorded"]


def _hardware(result: CellResult) -> str:
    return escaped(result.hardware or "a machine that is not recorded")
