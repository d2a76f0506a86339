"""Raw rows to examples: texts, chats, several references, gold numbers; every problem collected."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from harness.counting import counted
from harness.datasets.chat import ROW_KEYS, Chat, Message, cut, history_of_pairs, is_messages
from harness.datasets.chat import read_messages as read_chat
from harness.datasets.example import Example, Turn, chat_parts, digest
from harness.datasets.layout import Layout
from harness.datasets.registry import DatasetSource
from harness.datasets.table import RawRow, Table
from harness.datasets.values import NULL_WORDS, text_of, texts_of, value_at
from harness.errors import HarnessError, SuiteError
from harness.metrics.numbers import Language, gold_decimal
from harness.suite.dataset_entry import DatasetEntry

SHOWN = 3
"""How many bad rows a message lists; the others are counted."""


@dataclass(frozen=True)
class Reading:
    """How the rows of a data set are read."""

    layout: Layout
    group_by: str | None
    language: Language
    one_label: bool
    """Whether a row's reference is one label: a list of them is refused."""
    bare_text: bool
    """Whether a trained head reads the bare text; chats with earlier turns are then refused."""


def reading_of(entry: DatasetEntry, source: DatasetSource, layout: Layout) -> Reading:
    """How ``entry`` reads its rows."""
    labels = (entry.task or source.task) == "classification"
    return Reading(
        layout=layout,
        # "prompt" is also the schema's default, and a data set's own rule overrides the default
        group_by=entry.group_by if entry.group_by != "prompt" else source.group_by,
        language=entry.language or source.language,
        one_label=labels,
        bare_text=labels and entry.classify_by == "head",
    )


def examples_of(table: Table, reading: Reading, counts: Counter[str]) -> list[Example]:
    """One example a row, in order, those without prompt or reference too.

    Raises:
        HarnessError: rows that cannot be read, the first ones named and all counted.
    """
    examples: list[Example] = []
    problems: list[HarnessError] = []
    for index, row in enumerate(table.rows):
        try:
            examples.append(_example(row, reading, table.place(index)))
        except HarnessError as error:
            problems.append(error)
    refuse(problems)
    words = sum(
        e.reference.lower() in NULL_WORDS or e.prompt.lower() in NULL_WORDS for e in examples
    )
    if words and not reading.one_label:  # a declared label may well be `none`
        counts["null_words"] = words
    return examples


def refuse(problems: list[HarnessError]) -> None:
    """Raise ``problems`` as one error: the first of them in full, the others by their number."""
    if len(problems) == 1:
        raise problems[0]
    if problems:
        shown, hints = [], dict.fromkeys(error.hint for error in problems[:SHOWN] if error.hint)
        for error in problems[:SHOWN]:
            shown.append(f"{error.where}: {error.what}")
        more = len(problems) - SHOWN
        if more > 0:
            shown.append(f"  … and {counted(more, 'more row')}")
        raise SuiteError([*shown, *(f"  {hint}" for hint in hints)])


def normalised(text: str) -> str:
    """``text`` casefolded, punctuation dropped and spaces joined: equal for trivial rewrites."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def _example(row: RawRow, reading: Reading, place: str) -> Example:
    columns = reading.layout.columns
    asked = _asked(row, reading, place)
    category, gold = (
        text_of(value_at(row, columns[field]), columns[field], place) if field in columns else ""
        for field in ("category", "gold")
    )
    chat = chat_parts(asked.system, asked.history)
    # once, with all fields: every cell reads every row, and `replace` takes as long as the rest
    return Example(
        digest(asked.prompt, asked.context, asked.reference, *chat),
        asked.prompt,
        asked.reference,
        asked.context,
        category=category or None,
        group=_group(asked, row, reading, place),
        gold=_gold(gold, columns.get("gold", ""), reading.language, place),
        system=asked.system,
        history=asked.history,
        references=asked.references,
    )


def _asked(row: RawRow, reading: Reading, place: str) -> Example:
    columns = reading.layout.columns
    given = {field: value_at(row, column) for field, column in columns.items()}
    if (
        "messages" in columns
        or is_messages(given.get("prompt"))
        or is_messages(given.get("reference"))
    ):
        return _of_chat(row, given, reading, place)
    prompt, context, system = (
        text_of(given.get(field), columns.get(field, field), place)
        for field in ("prompt", "context", "system")
    )
    answers = _answers(given.get("reference"), reading, place)
    history = history_of_pairs(given.get("history"), place) if "history" in columns else ()
    _refuse_chat_for_a_head(system, history, reading, place)
    return Example(
        "", prompt, answers[0] if answers else "", context, system=system or None, history=history,
        references=answers if len(answers) > 1 else (),
    )  # fmt: skip


def _answers(value: object, reading: Reading, place: str) -> tuple[str, ...]:
    column = reading.layout.columns["reference"]
    if reading.one_label:
        if isinstance(value, list):  # of several accepted answers one is right; of labels all are
            hint = "A row has one label. Keep one, or compare texts: leave out `labels`."
            raise HarnessError(f'column "{column}" holds a list', where=place, hint=hint)
        label = text_of(value, column, place)
        return (label,) if label else ()
    return texts_of(value, column, place)


def _of_chat(row: RawRow, given: dict[str, object], reading: Reading, place: str) -> Example:
    for key in ROW_KEYS:
        if row.get(key):
            hint = "Remove these rows, or the column if it does not matter."
            raise HarnessError(
                f"the chat has `{key}`, which is not rendered", where=place, hint=hint
            )
    columns = reading.layout.columns
    if "messages" in columns:
        messages = read_chat(given["messages"], place)
    else:
        messages = [
            *_side(given.get("prompt"), "user", columns["prompt"], place),
            *_side(given.get("reference"), "assistant", columns["reference"], place),
        ]
    chat = cut(messages, place)
    system = text_of(given.get("system"), columns.get("system", "system"), place) or None
    if system and chat.system and system != chat.system:
        hint = "Keep one of them."
        raise HarnessError("two system messages: a column's and the chat's", where=place, hint=hint)
    chat = chat._replace(system=chat.system or system)
    _refuse_chat_for_a_head(chat.system, chat.history, reading, place)
    context = text_of(given.get("context"), columns.get("context", "context"), place)
    return _example_of(chat, context)


def _example_of(chat: Chat, context: str) -> Example:
    return Example(
        "", chat.prompt, chat.reference, context, system=chat.system, history=chat.history
    )


def _side(value: object, role: str, column: str, place: str) -> list[Message]:
    """The messages of TRL's prompt or completion; a text is one message of ``role``."""
    if is_messages(value):
        return read_chat(value, place)
    return [Message(role, text_of(value, column, place))]


def _refuse_chat_for_a_head(
    system: str | None, history: tuple[Turn, ...], reading: Reading, place: str
) -> None:
    if reading.bare_text and (system or history):
        raise HarnessError(
            "has a system message or earlier turns, which a classification head does not read",
            where=place,
            hint="`labels` alone train a head; `classify_by: likelihood` or `generation`"
            " read the whole chat.",
        )


def _gold(text: str, column: str, language: Language, place: str) -> str | None:
    """The gold number as a plain decimal, read by the rules that an answer is read by."""
    if not text:
        return None
    number = gold_decimal(text, language)
    if number is None:
        hint = "Write one number a row, such as 1234.5; leave it empty where there is none."
        what = f'column "{column}" (gold) holds "{text[:80]}", which is not one number'
        raise HarnessError(what, where=place, hint=hint)
    return number


def _group(example: Example, row: RawRow, reading: Reading, place: str) -> str | None:
    """The key of rows that stay in one split. By default: everything that the model is asked.

    Of an Alpaca row the instruction alone would join every row of a task, "Summarise the passage".
    """
    if reading.group_by is None:
        return None
    if reading.group_by == "prompt":
        group = example.asked
    elif reading.group_by == "reference":
        group = example.reference
    else:
        group = text_of(value_at(row, reading.group_by), reading.group_by, place)
    return (normalised(group) or group) or None
