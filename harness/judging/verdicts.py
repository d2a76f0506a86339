"""Ask a judge about the answers of a run, both ways round, and keep what it said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.endpoint.asking import Asker, Question
from harness.endpoint.chat import Reply, sampling
from harness.errors import HarnessError
from harness.judging.matching import matches
from harness.judging.prompt import Pair, messages, read_verdict
from harness.metrics.prediction import Prediction
from harness.metrics.reading.answers import answer_of
from harness.results.judgements import (
    HumanVerdict,
    Judgement,
    Judgements,
    JudgeRecord,
    Side,
    answer_hash,
)
from harness.results.result import by_id
from harness.results.run import Run
from harness.suite.judge_entry import Judge

CONCURRENCY = 8
"""Requests at a time, where the endpoint names no other number."""
WORDS_KEPT = 4000
"""Characters of what a judge wrote that are kept for reading."""


@dataclass(frozen=True)
class Judged:
    """The verdicts on a run, and the judge's own words."""

    found: Judgements
    words: list[dict[str, object]]


@dataclass(frozen=True)
class Case:
    """A pair of answers before it is judged."""

    blank: Judgement
    pair: Pair


def judge_cases(
    cases: Sequence[Case], judge: Judge, *, labels: Sequence[HumanVerdict] = ()
) -> Judged:
    """The verdicts of ``judge`` on ``cases``.

    Raises:
        HarnessError: the judge does not answer the first question.
    """
    asker = Asker(judge.endpoint)
    settings = sampling({"max_new_tokens": judge.max_tokens}, judge.endpoint, seed=0)
    asked = [case for case in cases if not case.blank.is_same]
    questions = [
        Question(
            "chat/completions",
            {"messages": messages(case.pair, judge.criteria, swapped=swapped), **settings},
        )
        for case in asked
        for swapped in (False, True)
    ]
    replies = asker.ask_each(questions, concurrency=judge.endpoint.concurrency or CONCURRENCY)
    both = list(zip(replies[::2], replies[1::2], strict=True))
    said = iter(both)
    verdicts = [
        case.blank if case.blank.is_same else _judged(case.blank, *next(said)) for case in cases
    ]
    words = [_words(case.blank, *pair) for case, pair in zip(asked, both, strict=True)]
    record = _record(judge, asker, verdicts, labels)
    return Judged(Judgements(record, tuple(verdicts)), words)


def cases_of(run: Run, judge: Judge) -> list[Case]:
    """Every pair of answers that ``judge`` is to compare, in the order of cells and examples.

    Raises:
        HarnessError: no cell has a reference.
    """
    found = []
    compared = matches(run, judge.against)
    # one reference may stand beside many cells: it is read once
    references = {first.key: first for first, _ in compared}
    records = {key: by_id(run.predictions(cell)) for key, cell in references.items()}
    for first, second in compared:
        ours, theirs = records[first.key], by_id(run.predictions(second))
        shared = [i for i in ours if i in theirs and _same_example(ours[i], theirs[i])]
        for i in shared[: judge.examples]:
            pair = _pair(ours[i], theirs[i], judge)
            longer = (len(pair.second) > len(pair.first)) - (len(pair.second) < len(pair.first))
            blank = Judgement(
                second.dataset, first.key, second.key, i, answer_hash(ours[i]),
                answer_hash(theirs[i]), longer,
            )  # fmt: skip
            found.append(Case(blank, pair))
    if not found:
        what = f'no cell has a cell of adapter "{judge.against}" beside it'
        hint = "`judge.against` names the adapter that the others are compared with; labels, which"
        raise HarnessError(what, where=str(run.directory), hint=f"{hint} are no texts, are not.")
    return found


def _same_example(ours: Prediction, theirs: Prediction) -> bool:
    return ours.get("data_hash") == theirs.get("data_hash")


def _pair(first: Prediction, second: Prediction, judge: Judge) -> Pair:
    """Question and answers as a reader sees them: without a model's reasoning."""
    one, other = (answer_of(record).spoken.strip() for record in (first, second))
    question = first.get("example_prompt") or first.get("prompt") or ""
    return Pair(question, one, other, first["reference"] if judge.show_reference else None)


def _judged(
    blank: Judgement, forward: Reply | HarnessError, backward: Reply | HarnessError
) -> Judgement:
    one, why = _read(forward, swapped=False)
    other, why_other = _read(backward, swapped=True)
    return replace(blank, forward=one, backward=other, failure=why or why_other)


def _read(reply: Reply | HarnessError, *, swapped: bool) -> tuple[Side | None, str | None]:
    """The verdict of one order, or why there is none."""
    if isinstance(reply, HarnessError):
        return None, "error"
    found = read_verdict(reply.text)
    if found is None:
        return None, "cut" if reply.finish_reason == "length" else "no verdict"
    return side_of(found, swapped=swapped), None


def side_of(said: str, *, swapped: bool) -> Side:
    """The side that a verdict on A and B means; if ``swapped``, the second answer was A."""
    if said == "tie":
        return "tie"
    return "first" if (said == "A") != swapped else "second"


def _words(
    blank: Judgement, forward: Reply | HarnessError, backward: Reply | HarnessError
) -> dict[str, object]:
    said = [reply.text if isinstance(reply, Reply) else str(reply) for reply in (forward, backward)]
    return {
        "first": blank.first, "second": blank.second, "id": blank.id,
        "forward": said[0][:WORDS_KEPT], "backward": said[1][:WORDS_KEPT],
    }  # fmt: skip


def _record(
    judge: Judge, asker: Asker, verdicts: Sequence[Judgement], labels: Sequence[HumanVerdict]
) -> JudgeRecord:
    tally = asker.tally
    settings = judge.model_dump(mode="json", exclude={"labels"})
    settings["endpoint"] = judge.endpoint.identity
    return JudgeRecord(
        settings=settings,
        servers=tally.server_records,
        asked=tally.asked,
        from_cache=tally.cached,
        retries=asker.client.retries,
        prompt_tokens=tally.prompt_tokens,
        new_tokens=tally.new_tokens,
        asked_prompt_tokens=tally.asked_prompt_tokens,
        asked_new_tokens=tally.asked_new_tokens,
        failures=dict(_failures(verdicts)),
        notes=list(tally.notes),
        labels=list(labels),
    )


def _failures(verdicts: Sequence[Judgement]) -> Mapping[str, int]:
    return Counter(verdict.failure for verdict in verdicts if verdict.failure)
