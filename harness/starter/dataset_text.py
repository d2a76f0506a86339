"""The data set of a first suite: columns, answers, groups and split, each with its reason."""

from __future__ import annotations

from collections.abc import Iterator

from harness.counting import counted
from harness.starter.draft import Draft
from harness.starter.yaml_text import comment, flow, scalar


def dataset_lines(draft: Draft) -> Iterator[str]:
    """The `dataset` axis, each choice with its reason."""
    looked, answers = draft.looked, draft.answers
    yield "  dataset:"
    if looked.is_built_in:
        yield f"    - name: {scalar(draft.source)}"
        yield from _sides(draft)
        return
    yield f"    - name: {scalar(draft.name)}"
    yield from _source(draft)
    yield from _language(draft)
    yield from _kind(draft)
    yield from comment(f"{answers.metric}: {answers.metric_why}.", 6)
    yield f"      primary_metric: {answers.metric}"
    yield from _groups(draft)
    yield from _sides(draft)


def _source(draft: Draft) -> Iterator[str]:
    sample = draft.sample
    if draft.is_tiny and sample:
        text = (
            f"{counted(len(sample.examples), 'row')} of {draft.source} that are short enough for"
            " the tiny model. With a model of yours, write `harness init` again with --model: it"
            " reads all."
        )
        yield from comment(text, 6)
        yield f"      source: {scalar(sample.name)}"
        if sample.has_gold:
            yield "      columns: {gold: gold}"
        return
    yield f"      source: {scalar(draft.source)}"
    if draft.test_source:
        yield f"      test_source: {scalar(draft.test_source)}"
    if draft.looked.entry.encoding:
        yield f"      encoding: {scalar(draft.looked.entry.encoding)}"
    yield from _columns(draft)


def _columns(draft: Draft) -> Iterator[str]:
    columns = {str(field): column for field, column in draft.looked.entry.columns.items()}
    if draft.answers.gold:
        columns["gold"] = draft.answers.gold
    if not columns:
        yield from comment(f"Read as {draft.looked.form}; `columns` would name others.", 6)
        return
    if draft.answers.gold and len(columns) == 1:
        yield from comment(f"Read as {draft.looked.form}.", 6)
    inner = ", ".join(f"{field}: {scalar(column)}" for field, column in columns.items())
    yield f"      columns: {{{inner}}}"


def _language(draft: Draft) -> Iterator[str]:
    looked = draft.looked
    if looked.language != "en":
        yield f"      language: {looked.language}                # how numbers are written"
    elif looked.cyrillic > 0.1:
        share = f"{100 * looked.cyrillic:.0f}%"
        text = f"{share} of the letters are Cyrillic; `language: ru` reads 1,5 as one and a half."
        yield from comment(text, 6)


def _kind(draft: Draft) -> Iterator[str]:
    answers = draft.answers
    yield from comment(f"{answers.why[:1].upper()}{answers.why[1:]}.", 6)
    if answers.kind == "labels":
        yield from flow("labels", answers.labels, "      ")
        if draft.chosen.is_encoder:
            yield "      classify_by: head"
        else:
            yield from comment("Both sides answer the same question, so that before and after can "
                               "be compared. `head` trains a classifier instead.", 6)  # fmt: skip
            yield "      classify_by: likelihood"
    if answers.maybe_labels:
        yield from comment("If they are classes and no quantities, use this instead of `gold` and "
                           "`primary_metric`:", 6)  # fmt: skip
        shown = ", ".join(map(scalar, answers.maybe_labels))
        yield f"      # labels: [{shown}]"


def _groups(draft: Draft) -> Iterator[str]:
    looked = draft.looked
    repeated = looked.repeated
    if repeated:
        text = (
            f"{repeated:,} of {counted(len(looked.examples), 'row', separated=True)} share their"
            " question with another row: they stay on one side, or the test would ask what was"
            " trained."
        )
        yield from comment(text, 6)
        yield "      group_by: prompt"
    if looked.other_columns and not (draft.is_tiny and draft.sample):
        listed = ", ".join(f"`{column}`" for column in looked.other_columns[:6])
        more = " …" if len(looked.other_columns) > 6 else ""
        text = (
            f"Not read: {listed}{more}. If rows of one value belong together (a customer, a"
            " document), split by it:"
        )
        yield from comment(text, 6)
        yield f"      # group_by: {scalar(looked.other_columns[0])}"


def _sides(draft: Draft) -> Iterator[str]:
    sizes = draft.sizes
    if sizes.train is not None:
        text = (
            f"Few of {counted(sizes.total, 'row', separated=True)}, so that a first run takes a"
            " minute or two. Delete `train` and raise `test` for a decision."
        )
        yield from comment(text, 6)
        yield f"      train: {sizes.train}"
    if sizes.test is not None:
        text = (
            f"{counted(sizes.test, 'test row measures', 'test rows measure')} a share to about"
            f" ±{sizes.interval:.0f} points; four times as many would halve that."
        )
        yield from comment(text, 6)
        yield f"      test: {sizes.test}"
    if draft.split_seed != 42:
        yield from comment("With the usual seed, 42, a rare label would be tested and never "
                           "trained on.", 6)  # fmt: skip
        yield f"      split_seed: {draft.split_seed}"
