"""A first suite from a data file."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from harness.api.arguments import StrPath
from harness.counting import counted
from harness.datasets.registry import built_in
from harness.datasets.table_file import kind_of
from harness.errors import HarnessError, SuiteError
from harness.plan.check import Checked, Depth, check_suite
from harness.plugins import load_plugins
from harness.results.paths import write_text
from harness.starter.answers import Answers, Kind, answers_of
from harness.starter.choices import sizes, tiny_sides
from harness.starter.data import Looked, look
from harness.starter.data import Named as Named
from harness.starter.draft import Draft
from harness.starter.model import TINY, Chosen, model_of
from harness.starter.question import Ask as Ask
from harness.starter.question import Question as Question
from harness.starter.question import settled
from harness.starter.sample import sample_of, sample_text
from harness.starter.text import suite_text
from harness.user_path import expanded

SEEDS_TRIED = 20
"""Split seeds after which a label is too rare to be on both sides."""
UNSEEN = "is tested and never trained on"
"""What a split says that another seed may mend."""


@dataclass(frozen=True)
class Wanted:
    """What `init` is asked for."""

    data: str | None = None
    """A file, a built-in set or a hub id."""
    model: str | None = None
    """A folder, a card's name or a hub id."""
    output: StrPath | None = None
    """The suite to write; default: the data's name in this folder."""
    test: str | None = None
    """A file of test rows."""
    kind: Kind | None = None
    """What the answers are: `labels`, `numbers` or `text`."""
    named: Named = field(default_factory=Named)
    """Columns and encoding, where you say them."""
    tiny: bool = False
    """Use the tiny model, and few rows."""
    force: bool = False
    """Overwrite an existing suite."""


@dataclass(frozen=True)
class Started:
    """A suite that was written."""

    path: Path
    cells: int
    found: tuple[str, ...]
    """What was found in the data and chosen, a line each."""
    has_twin: bool
    """Whether `harness run PATH --tiny` works."""
    sample: Path | None = None
    """The file of short rows that was written beside it."""


def init(wanted: Wanted, *, ask: Ask | None = None) -> Started:
    """Write a commented suite that runs, from what the data hold.

    The suite is checked as `validate` does before it is written.

    Args:
        wanted: What you say beforehand.
        ask: Asks a person what is left open; without, the safe default is taken.

    Raises:
        HarnessError: the suite exists, the data cannot be read, or a question without a safe
            default has nobody to answer it.
    """
    load_plugins()
    data = _data(wanted, ask)
    name = _slug(data)
    path = _output(wanted, name, ask)
    looked = look(data, name, named=wanted.named, ask=ask)
    answers = answers_of(looked, kind=wanted.kind, ask=ask)
    chosen = model_of(_model(wanted, ask), path.parent)
    _refuse_chat_without_template(looked, chosen)
    _refuse_encoder_without_labels(answers, chosen)
    draft = _draft(wanted, Draft(
        _plain(path.stem) or name, name, data if looked.path is None else _from(path, looked.path),
        _test_source(wanted.test, path), looked, answers, chosen,
        sizes(len(looked.examples), own_test=wanted.test is not None),
    ))  # fmt: skip
    text, cells, sample, notes = _written(draft, path, force=wanted.force)
    read = counted(looked.rows, "row", separated=True) if looked.rows == len(looked.examples) else (
        f"{counted(looked.rows, 'row', separated=True)}, {len(looked.examples):,} of them whole"
        " and different"
    )  # fmt: skip
    found = (
        f"{data}: {read}, read as {looked.form}",
        f"{answers.why}; compared by {answers.metric}",
        *_not_read(looked),
        *notes,
    )
    return Started(path, cells, found, "\ntiny:\n" in text, sample)


def _not_read(looked: Looked) -> tuple[str, ...]:
    """A line on the columns that no prompt shows: the choices of a question may be among them."""
    if looked.is_built_in or not looked.other_columns:
        return ()
    listed = ", ".join(f"`{column}`" for column in looked.other_columns[:6])
    more = f" and {len(looked.other_columns) - 6} more" if len(looked.other_columns) > 6 else ""
    return (f"not read, and in no prompt: {listed}{more}",)


def _draft(wanted: Wanted, draft: Draft) -> Draft:
    """``draft`` with what a tiny model needs.

    Raises:
        HarnessError: the tiny model is to run, and the rows are too long for it.
    """
    if draft.chosen.is_encoder:
        return replace(draft, has_twin=False)
    sample = sample_of(draft.looked, draft.name)
    labels = len(draft.answers.labels)
    if sample is not None and not sample.examples:
        if draft.is_tiny:
            what = (
                f"too few of {counted(draft.sizes.total, 'row')} are short enough for the tiny"
                " model"
            )
            raise HarnessError(what, where=draft.source, hint="Name a model of yours by --model.")
        return replace(draft, has_twin=False)
    if not draft.is_tiny:
        return replace(draft, sample=sample)
    total = len(sample.examples) if sample else draft.sizes.total
    sides = tiny_sides(total, labels=labels)
    if wanted.test and sample is None:
        sides = replace(sides, test=None)
    shown = replace(draft.looked, examples=sample.examples) if sample else draft.looked
    return replace(draft, sample=sample, sizes=sides, looked=shown)


def _data(wanted: Wanted, ask: Ask | None) -> str:
    question = Question("Which data: a file, a hub id or a built-in set", "--data FILE")
    data = wanted.data or settled(question, ask)
    if kind_of(data) and not expanded(data).is_file():
        raise HarnessError("no such file", where=data)
    return str(expanded(data)) if kind_of(data) else data


def _model(wanted: Wanted, ask: Ask | None) -> str | None:
    if wanted.tiny or wanted.model:
        return None if wanted.tiny else wanted.model
    question = Question(
        "The model: a hub id, a folder or a card's name", "--model", default=TINY,
        why="The tiny model runs anywhere; `harness models list` shows the cards there are",
    )  # fmt: skip
    return settled(question, ask)


def _slug(data: str) -> str:
    stem = Path(data).name
    if kind_of(data):
        stem = stem.partition(".")[0] or stem
    plain = _plain(stem)
    # a built-in set of that name would be taken for the file
    return f"my-{plain}" if kind_of(data) and plain in built_in() else plain or "suite"


def _plain(stem: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")


def _output(wanted: Wanted, name: str, ask: Ask | None) -> Path:
    path = Path(wanted.output or f"{name}.yaml")
    if path.suffix not in (".yaml", ".yml"):
        hint = f"Name it {path.name}.yaml."
        raise HarnessError("a suite's name ends in .yaml", where=str(path), hint=hint)
    if not path.parent.is_dir():
        raise HarnessError("no such folder", where=str(path.parent), hint="Make it first.")
    if path.exists() and not wanted.force:
        question = Question(
            f"{path} exists. Overwrite it", "--force", ("no", "yes"), default="no"
        )  # fmt: skip
        if settled(question, ask) == "no":
            hint = "`--force` overwrites it; `-o` names another."
            raise HarnessError("exists and is kept", where=str(path), hint=hint)
    return path


def _from(suite: Path, data: Path) -> str:
    """``data`` relative to the suite, as a suite's paths are."""
    return Path(os.path.relpath(data.resolve(), suite.parent.resolve())).as_posix()


def _test_source(test: str | None, suite: Path) -> str | None:
    if test is None or not kind_of(test):
        return test
    if not Path(test).is_file():
        raise HarnessError("no such file", where=test)
    return _from(suite, Path(test))


def _refuse_chat_without_template(looked: Looked, chosen: Chosen) -> None:
    earlier = sum(bool(example.history) for example in looked.examples)
    if earlier and chosen.has_template is False and chosen.prompt in (None, "chat"):
        hint = "Name an instruct model, or write a `template` for it (docs/prompts.md)."
        what = f"has no chat template, and {counted(earlier, 'row has', 'rows have')} earlier turns"
        raise HarnessError(what, where=chosen.source or chosen.name, hint=hint)


def _refuse_encoder_without_labels(answers: Answers, chosen: Chosen) -> None:
    if chosen.is_encoder and answers.kind != "labels":
        hint = "Name a model that writes text. If the answers are classes, say `--task labels`."
        what = f"is an encoder and writes no answers, and {answers.why}"
        raise HarnessError(what, where=chosen.name, hint=hint)


class _Written(NamedTuple):
    text: str
    cells: int
    sample: Path | None
    notes: tuple[str, ...]
    """What `harness validate` says of the data."""


def _written(draft: Draft, path: Path, *, force: bool) -> _Written:
    """Write the suite and the sample that it needs, once the suite is found to be valid.

    Raises:
        SuiteError: the data cannot be used as they are.
    """
    sample = path.with_name(draft.sample.name) if draft.sample else None
    if sample and draft.sample:
        if sample.exists() and not force:
            hint = "`--force` overwrites it; `-o` in another folder keeps it."
            raise HarnessError("exists and is kept", where=str(sample), hint=hint)
        write_text(sample, sample_text(draft.sample.examples))
    try:
        text, cells, notes = _checked(draft, path)
    except HarnessError:
        if sample:
            sample.unlink(missing_ok=True)
        raise
    write_text(path, text)
    return _Written(text, cells, sample, notes)


def _checked(draft: Draft, path: Path) -> tuple[str, int, tuple[str, ...]]:
    """The suite's text, the number of its cells and notes, checked as a file beside ``path``.

    Raises:
        SuiteError: the data cannot be used as they are.
    """
    problems: tuple[str, ...] = ()
    for seed in (draft.split_seed, *range(SEEDS_TRIED)):
        found, text = _check(replace(draft, split_seed=seed), path)
        if not found.problems:
            return text, found.cells, found.notes
        problems = problems or found.problems
        if not all(UNSEEN in problem for problem in found.problems):
            break
    if draft.has_twin and all(": tiny" in problem for problem in problems):
        return _checked(replace(draft, has_twin=False), path)
    hint = "Correct the data and run `harness init` again; no suite was written."
    raise SuiteError([*problems, f"  {hint}"])


def _check(draft: Draft, path: Path) -> tuple[Checked, str]:
    # Imported late: extra metrics pull `evaluate`, which a refusal before this does not need.
    from harness.scoring.extra import check_extra_metrics

    text = suite_text(draft)
    place = path.with_name(f".{path.stem}.{os.getpid()}.draft.yaml")
    try:
        write_text(place, text)  # beside the suite: its paths start from there
        found = check_suite(place, Depth(hub=True, metrics=check_extra_metrics))
    finally:
        place.unlink(missing_ok=True)
    named = tuple(p.replace(str(place), f"{path} (not written)") for p in found.problems)
    return replace(found, problems=named), text
