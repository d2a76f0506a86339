"""A cell on a task of lm-evaluation-harness: the tool asks and scores, its samples become answers.

The samples are read as those of an imported log, so a run of ours and one of the tool's own have
the same values, per example and overall.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.backends.base import AnsweringBackend, Answers, RunsTasks
from harness.counting import counted
from harness.errors import HarnessError
from harness.importers.foreign import is_number, mapping
from harness.importers.lm_eval import collect_scores, record_of
from harness.importers.lm_eval_values import NLL, Scored, values_of
from harness.metrics.prediction import Prediction
from harness.results.result import Value
from harness.run.story import Story
from harness.scoring.aggregation import mean_value

SAME = 1e-9
"""How far, relative to it, the tool's value may lie from the mean of its samples and be the same
number, summed in another order: then the tool's own digits are kept."""


def answers_of_task(story: Story, backend: AnsweringBackend) -> Answers:
    """The answers to the documents of the task, each with the tool's own samples of it.

    Raises:
        HarnessError: the backend cannot run the tool, or the tool left documents out.
    """
    if not isinstance(backend, RunsTasks):
        text = f'backend "{story.cell.backend}" cannot run tasks of lm-evaluation-harness'
        raise HarnessError(text, hint="Run these cells with the backend hf.")
    run = backend.run_task()
    records = [record for samples in run.samples.values() for record in _records(samples)]
    if len(records) != len(story.splits.test):
        there = len(story.splits.test)
        text = f"lm-evaluation-harness answered {len(records)} of {counted(there, 'document')}"
        raise HarnessError(text, hint="Its log is in the cell's folder, in cell.log.")
    return Answers(run.numbers, {**run.facts, "lm_eval": run.results}, records)


def _records(samples: Sequence[Mapping[str, Any]]) -> list[Prediction]:
    """One record per document, with its samples: one under each filter."""
    found: dict[object, Prediction] = {}
    for sample in samples:
        record = found.setdefault(sample["doc_id"], record_of(sample))
        record.setdefault("lm_eval", []).append(dict(sample))
        record["prediction"] = _likeliest(sample) or record["prediction"]
    return list(found.values())


def _likeliest(sample: Mapping[str, Any]) -> str | None:
    """The text of the likeliest choice, which `acc` looks at; None where there was no choice."""
    responses, arguments = sample["filtered_resps"], sample["arguments"]
    if len(responses) < 2 or len(arguments) < len(responses):
        return None  # and tasks that ask for each choice twice log the first half as responses
    pairs = [each[0] for each in responses if isinstance(each, list) and is_number(each[0])]
    if len(pairs) != len(responses) or len(arguments[0]) != 2:
        return None
    return str(arguments[pairs.index(max(pairs))][1]).strip() or None


def values_of_task(story: Story) -> list[Value]:
    """The task's values; of a group those of all documents, then those of each task.

    The scores per example are written into the records.
    """
    results = _results(story)
    task = story.cell.dataset.lm_eval_task or ""
    members: dict[str, list[Prediction]] = {}
    for record in story.records:
        record["scores"] = {}
        members.setdefault(record.get("category") or task, []).append(record)
    values = []
    for member, records in members.items():
        found = [_signed(value, member, story) for value in _values(member, records, results)]
        values += found if member == task else [replace(v, category=member) for v in found]
    if task not in members:
        values = _of_group(task, values, story) + values
    return values


def _values(task: str, records: list[Prediction], results: Mapping[str, Any]) -> list[Value]:
    logged: dict[str, list[Scored]] = {}
    for record in records:
        for sample in record["lm_eval"]:
            collect_scores(logged, sample, record)
    own = mapping(mapping(results.get("results")).get(task))
    return [_exact(value, own) for value in values_of(task, records, logged, results)]


def _exact(value: Value, stated: Mapping[str, Any]) -> Value:
    """``value`` with the tool's own digits, where it is the same number."""
    name, _, chosen = value.metric.partition(",")
    own, ours = stated.get(f"{name},{chosen or 'none'}"), value.value
    if ours is None or not is_number(own) or abs(own - ours) > SAME * max(1.0, abs(own)):
        return value
    return replace(value, value=float(own))


def _of_group(group: str, members: Sequence[Value], story: Story) -> list[Value]:
    """The means over the documents of all tasks, of the metrics that every document has."""
    records = story.records
    own = mapping(mapping(_results(story).get("groups")).get(group))
    named = {value.metric: value for value in members}
    found = []
    for name, one in named.items():
        if not all(name in record["scores"] for record in records):
            continue
        value = mean_value(records, name, signature=f"{name}|lm_eval|{group}")
        unit = one.unit if name == NLL else value.unit
        value = replace(value, higher_is_better=one.higher_is_better, unit=unit)
        found.append(_signed(_exact(value, own), group, story))
    return found


def _results(story: Story) -> Mapping[str, Any]:
    return mapping(story.done["predict"].facts.get("lm_eval"))


def _signed(value: Value, task: str, story: Story) -> Value:
    """``value`` whose signature says how the task was asked, and by which version, too."""
    results, entry = _results(story), story.cell.dataset
    shots = mapping(results.get("n-shot")).get(task)
    more = [] if shots is None else [f"shots:{shots}"]
    if entry.apply_chat_template:
        more.append("chat")
    more.append(f"lm_eval:{results.get('lm_eval_version')}")
    return replace(value, signature="|".join([value.signature or value.metric, *more]))
