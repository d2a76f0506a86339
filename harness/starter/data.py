"""A data file as `harness init` sees it: its columns, its examples, and in which language they are.

Nothing is read here in a way of its own: the examples are those that a cell of the suite would get.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.counting import counted
from harness.datasets.chat import is_messages
from harness.datasets.example import Example
from harness.datasets.layout import FORMATS, layout_of
from harness.datasets.registry import DatasetSource, built_in
from harness.datasets.rows import examples_of, reading_of
from harness.datasets.sources import read_source, source_of
from harness.datasets.table import Table
from harness.datasets.text_encoding import WrongEncoding
from harness.datasets.values import text_of
from harness.errors import HarnessError, SkipCell
from harness.metrics.numbers import gold_decimal
from harness.registry import did_you_mean
from harness.starter.question import Ask, Question, settled
from harness.suite.dataset_entry import DatasetEntry

PAIRS = (
    ("question", "answer"), ("question", "answers"), ("question", "response"),
    ("question", "solution"), ("query", "answer"), ("query", "response"), ("prompt", "response"),
    ("prompt", "answer"), ("prompt", "output"), ("instruction", "response"), ("input", "output"),
    ("input", "target"), ("problem", "answer"), ("problem", "solution"), ("source", "target"),
    ("document", "summary"), ("article", "highlights"), ("article", "summary"),
    ("dialogue", "summary"), ("text", "summary"), ("text", "label"), ("text", "labels"),
    ("text", "class"), ("text", "intent"), ("text", "sentiment"), ("sentence", "label"),
    ("review", "label"), ("content", "label"),
)  # fmt: skip
"""Names of a prompt's and a reference's column that mean just that, beside `layout.FORMATS`. Any
other pair is asked for: `title` and `body` may be read either way round."""
CONTEXTS = ("context", "passage", "input")
"""Columns of a text that the question is about, where the pair leaves them over."""
GOLDS = ("gold", "final_answer", "answer_number")
"""Columns of the right number beside a worked answer."""
MOSTLY = 0.5
"""Share of Cyrillic letters from which a text is read as Russian."""
_CYRILLIC = re.compile("[а-яёА-ЯЁ]")
_LETTER = re.compile(r"[^\W\d_]")
LETTERS_READ = 200_000
"""Characters whose letters are counted: more would not change the majority."""


@dataclass(frozen=True)
class Looked:
    """What a data file holds."""

    entry: DatasetEntry
    """The data set, as far as the file decides it; its source is relative to where you are."""
    path: Path | None
    """The file; None for a built-in set or one on the hub."""
    source: DatasetSource
    form: str
    """How the rows are read, in words."""
    examples: tuple[Example, ...]
    """The rows that have a prompt and a reference, without repeated ones."""
    rows: int
    """All rows of the file."""
    language: Literal["en", "ru"]
    cyrillic: float
    """Share of Cyrillic letters."""
    other_columns: tuple[str, ...] = ()
    """Columns that nothing reads."""

    @property
    def is_built_in(self) -> bool:
        """Whether the harness knows the data set's columns, task and metric itself."""
        return (self.entry.source or "") in built_in()

    @property
    def place(self) -> str:
        """What a message names: the file, else the built-in set or the hub id."""
        return str(self.path or self.entry.source)

    @property
    def repeated(self) -> int:
        """Rows whose prompt another row has too: they must not be in training and test."""
        counts = Counter(example.group for example in self.examples)
        return sum(count for group, count in counts.items() if group and count > 1)


@dataclass(frozen=True)
class Named:
    """What the user said of the data, by options."""

    prompt: str | None = None
    """The column of the prompt."""
    reference: str | None = None
    """The column of the answer."""
    context: str | None = None
    """The column of a text that the question is about."""
    encoding: str | None = None
    """The encoding of a text file."""


def look(data: str, name: str, *, named: Named, ask: Ask | None) -> Looked:
    """What the file (or built-in set, or hub id) ``data`` holds.

    Raises:
        HarnessError: it cannot be read, or nobody says which column is which.
    """
    columns = {k: v for k in ("prompt", "reference", "context") if (v := getattr(named, k))}
    entry = DatasetEntry.model_validate(
        {"name": name, "source": data, "columns": columns, "encoding": named.encoding}
    )
    source = source_of(entry, Path())
    try:
        table = read_source(entry, Path())
    except SkipCell as reason:
        raise HarnessError(str(reason), hint="Give a file, or try again with the hub.") from None
    except WrongEncoding as error:  # there is no entry yet to set it in
        looks = f"It looks like {error.likely}: if so, add" if error.likely else "Add"
        option = f"`--encoding {error.likely or 'NAME'}`"
        hint = f"{looks} {option}, or save the file as UTF-8."
        raise HarnessError(error.what, where=error.where, hint=hint) from None
    _refuse_unknown(columns, table)
    if data not in built_in() and not {"prompt", "reference"} <= set(columns):
        columns = _found(table, columns, ask)
        entry = entry.model_copy(update={"columns": columns})
    layout = layout_of(entry, source, table)
    counts: Counter[str] = Counter()
    language: Literal["en", "ru"] = source.language
    examples = examples_of(table, reading_of(entry, source, layout), counts)
    kept = {e.id: e for e in examples if e.prompt and e.reference}
    if not kept:
        raise HarnessError("no row has both a prompt and an answer", where=table.where)
    share = _cyrillic(list(kept.values()))
    if data not in built_in():
        language = "ru" if share >= MOSTLY else "en"
    used = {column.partition(".")[0] for column in layout.columns.values()}
    form = _form(layout.columns, any(example.context for example in kept.values()))
    return Looked(
        entry, source.files[0] if source.files and data not in built_in() else None, source,
        form, tuple(kept.values()), len(table.rows), language, share,
        tuple(column for column in table.columns if column not in used),
    )  # fmt: skip


def _form(columns: Mapping[str, str], has_context: bool) -> str:
    if "messages" in columns:
        return f"chats in `{columns['messages']}`"
    context = f" about `{columns['context']}`" if has_context else ""
    return f"`{columns['prompt']}`{context} and `{columns['reference']}`"


def _refuse_unknown(named: dict[str, str], table: Table) -> None:
    """Say that an option names a column that is not there, before another question is asked."""
    for column in named.values():  # `answers.text.0` is in the column `answers`
        if not {column, column.partition(".")[0]} & set(table.columns):
            hint = did_you_mean(column, table.columns)
            raise HarnessError(f'no column "{column}"', where=table.where, hint=hint)


def _found(table: Table, given: dict[str, str], ask: Ask | None) -> dict[str, str]:
    """The columns to name in the suite; none where the harness finds them by itself.

    Raises:
        HarnessError: nobody says which they are.
    """
    present = table.columns
    fitting: dict[str, dict[str, str]] = {}
    if not given:
        for columns in FORMATS.values():
            if set(columns.values()) <= set(present):
                fitting[" and ".join(columns.values())] = columns
        recognised = set(fitting)  # what a suite reads without `columns` comes first
        by_name = {column.casefold(): column for column in reversed(present)}
        for prompt, reference in () if recognised else PAIRS:
            if prompt in by_name and reference in by_name:
                pair = {"prompt": by_name[prompt], "reference": by_name[reference]}
                fitting.setdefault(" and ".join(pair.values()), pair)
        if len(fitting) == 1:
            name, columns = next(iter(fitting.items()))
            if name not in recognised:
                return _with_context(columns, table)
            gold = _gold(table)
            return {"gold": gold} if gold else {}
        if fitting:
            question = Question(
                "Which columns hold the question and the answer",
                "--prompt and --reference", tuple(fitting),
                why=f"{table.where} can be read in {counted(len(fitting), 'way')}",
            )  # fmt: skip
            return _with_context(fitting[settled(question, ask)], table)
    return _with_context(_asked_for(table, given, ask), table)


def _asked_for(table: Table, given: dict[str, str], ask: Ask | None) -> dict[str, str]:
    chosen = dict(given)
    if not {"prompt", "reference"} & set(given):
        chats = [c for c in table.columns if any(is_messages(row.get(c)) for row in table.rows)]
        if len(chats) == 1:
            return {**given, "messages": chats[0]}
    why = f"{table.where}: its columns have no names that are known"
    if ask is not None:
        why += f". The first row:\n{_first_row(table)}"
    for field, words in (("prompt", "question or text"), ("reference", "answer or label")):
        if field not in chosen:
            left = tuple(c for c in table.columns if c not in chosen.values())
            question = Question(f"Which column holds the {words}", f"--{field}", left, why=why)
            chosen[field] = settled(question, ask)
            why = "" if ask is not None else why  # a person has just read it
    return chosen


def _first_row(table: Table) -> str:
    """A line for each column, short enough for a terminal."""
    row = table.rows[0]
    values = {column: " ".join(str(row.get(column, "")).split()) for column in table.columns}
    return "\n".join(f"  {c[:24]}: {v[:50]}{'…' if len(v) > 50 else ''}" for c, v in values.items())


def _with_context(columns: dict[str, str], table: Table) -> dict[str, str]:
    """``columns`` with a context and a gold number, where columns of those names are left over."""
    if "messages" in columns:
        return columns
    left = {c.casefold(): c for c in table.columns if c not in columns.values()}
    added = dict(columns)
    fitting = [left[name] for name in CONTEXTS if name in left]
    if "context" not in columns and len(fitting) == 1 and _is_text(table, fitting[0]):
        added["context"] = fitting[0]
    gold = _gold(table)
    if gold and gold not in columns.values():
        added["gold"] = gold
    return added


def _gold(table: Table) -> str | None:
    """The one column that is called the right number and holds numbers alone."""
    fitting = [column for column in table.columns if column.casefold() in GOLDS]
    if len(fitting) != 1:
        return None
    column = fitting[0]
    texts = [text_of(row.get(column), column, table.where) for row in table.rows]
    numbers = [gold_decimal(text) for text in texts if text]
    return column if numbers and None not in numbers else None


def _is_text(table: Table, column: str) -> bool:
    """Whether every value of ``column`` is a text or a number, and one is there."""
    values = [row.get(column) for row in table.rows]
    return any(values) and all(isinstance(v, str | int | float | None) for v in values)


def _cyrillic(examples: list[Example]) -> float:
    text, size = [], 0
    for example in examples:
        text.append(f"{example.prompt} {example.reference}")
        size += len(text[-1])
        if size > LETTERS_READ:
            break
    letters = _LETTER.findall(" ".join(text))
    return len(_CYRILLIC.findall("".join(letters))) / len(letters) if letters else 0.0
