"""Scores to values: means with their intervals, over all records of a cell and per category."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from harness.metrics.facts import fact
from harness.plan.task import Task
from harness.results.result import Value
from harness.scoring.scoring import VERSIONS, Record, is_parsed, rouge_of, score_numbers


def aggregate(
    records: list[Record], task: Task, trivial: Mapping[str, str] | None = None
) -> list[Value]:
    """The metrics of ``records``, over all of them and per category, and of trivial answers."""
    values = [*_over(records, task, None), *_trivial_values(records, task, trivial or {})]
    categories = sorted({r["category"] for r in records if r.get("category")})
    for category in categories:
        values += _over([r for r in records if r.get("category") == category], task, category)
    return values


def _over(records: list[Record], task: Task, category: str | None) -> list[Value]:
    names = sorted({name for record in records for name in record["scores"]})
    values = [
        mean_value(records, name, category=category, signature=signature(name, task))
        for name in names
    ]
    if task.task == "classification" and category is None:
        values += _label_values(records, task)
    values += _likelihood_values(records, task, category)
    if task.answered_by == "generation":
        values += _accounts(records, task, category)
    return values


def _accounts(records: list[Record], task: Task, category: str | None) -> list[Value]:
    """How the answers came: cut, empty, without what was looked for; and the score of the rest."""
    parsable = [r for r in records if is_parsed(r) is not None]
    parsed = [r for r in parsable if is_parsed(r)]
    shares = {
        "empty_share": (records, [not r["prediction"].strip() for r in records]),
    }
    if any(r["finish_reason"] != "unknown" for r in records):
        shares["truncated_share"] = (records, [r["finish_reason"] == "length" for r in records])
    if parsable:
        shares["unparsed_share"] = (parsable, [not is_parsed(r) for r in parsable])
    if any("ambiguous" in r for r in parsable):
        shares["ambiguous_share"] = (parsable, [r.get("ambiguous", False) for r in parsable])
    if parsed and len(parsed) < len(parsable):
        metric = "accuracy" if task.task == "classification" else "numeric_accuracy"
        shares[f"{metric}_parsed"] = (parsed, [r["scores"][metric] for r in parsed])
    text = signature("accounting", task)
    return [
        _value(name, [float(x) for x in found], category, clusters=_groups(among), signature=text)
        for name, (among, found) in shares.items()
    ]


def _groups(records: Sequence[Record]) -> list[str]:
    return [r.get("group") or r["id"] for r in records]


def _trivial_values(records: list[Record], task: Task, trivial: Mapping[str, str]) -> list[Value]:
    """What answers that need no model score on these examples."""
    if task.task == "classification":
        label = trivial.get("majority")
        return _always(records, label, task) if label else []
    prompts = [r["example_prompt"] for r in records]
    values = [_trivial("rougeL_copied_prompt", _rouge_l(prompts, records, task), "the prompt")]
    answer = trivial.get("constant")
    if answer:
        note = f'always "{answer[:60]}"'
        answers = [answer] * len(records)
        values.append(_trivial("rougeL_constant", _rouge_l(answers, records, task), note))
        numbers = [{**r, "prediction": answer, "scores": {}} for r in records]
        score_numbers(numbers, task)
        hits = [r["scores"]["numeric_accuracy"] for r in numbers if r["scores"]]
        if hits:
            values.append(_trivial("numeric_accuracy_constant", hits, note))
    return values


def _always(records: list[Record], label: str, task: Task) -> list[Value]:
    from harness.metrics.classification import classification_scores

    gold = [r["label"] for r in records]
    scores = classification_scores([label] * len(gold), gold, task.labels)
    return [
        Value(
            f"{key}_majority", scores[key], *fact(f"{key}_majority"), len(gold),
            note=f'always "{label}"',
        )
        for key in ("accuracy", "f1_macro")
    ]  # fmt: skip


def _rouge_l(texts: list[str], records: list[Record], task: Task) -> list[float]:
    return [score.rougeL for score in rouge_of(texts, [r["reference"] for r in records], task)]


def _trivial(metric: str, scores: Sequence[float], note: str) -> Value:
    mean = math.fsum(scores) / len(scores)
    return Value(metric, mean, *fact(metric), len(scores), note=note)


def mean_value(
    records: list[Record], name: str, *, category: str | None = None, signature: str | None = None
) -> Value:
    """The mean of the per-example score ``name``, over the records that have one."""
    scored = [r for r in records if name in r["scores"]]
    numbers = [r["scores"][name] for r in scored]
    return _value(name, numbers, category, clusters=_groups(scored), signature=signature)


def _value(
    metric: str, numbers: Sequence[float], category: str | None, *,
    clusters: Sequence[str] | None = None, signature: str | None = None,
) -> Value:  # fmt: skip
    unit, direction = fact(metric)
    mean = math.fsum(numbers) / len(numbers)
    low, high = _interval(numbers, clusters)
    return Value(metric, mean, unit, direction, len(numbers), low, high, category, signature)


def _interval(
    numbers: Sequence[float], clusters: Sequence[str] | None
) -> tuple[float | None, float | None]:
    """Wilson for proportions, a clustered t interval where groups repeat, else BCa.

    A share that is 0 or 1 in every group is Wilson's of the groups: a t interval has no width.
    """
    from harness.statistics import bca, clustered_t, wilson

    if len(numbers) < 2:
        return None, None
    if clusters and len(set(clusters)) < len(clusters):
        groups = len(set(clusters))
        if groups < 2:
            return None, None
        whole = set(numbers) in ({0.0}, {1.0})
        found = (
            wilson(int(numbers[0]) * groups, groups) if whole else clustered_t(numbers, clusters)
        )
    elif set(numbers) <= {0.0, 1.0}:
        found = wilson(int(sum(numbers)), len(numbers))
    else:
        found = bca(numbers)
    return float(found.low), float(found.high)


def _label_values(records: list[Record], task: Task) -> list[Value]:
    from harness.metrics.classification import classification_scores

    gold = [r["label"] for r in records]
    predicted = [r["predicted_label"] for r in records]
    scores = classification_scores(predicted, gold, task.labels)
    scores.pop("accuracy")
    intervals = {"f1_macro": _f1_interval(records, task)}
    return [
        Value(
            name, score, *fact(name), len(gold), *intervals.get(name, (None, None)),
            signature=signature(name, task),
        )
        for name, score in scores.items()
    ]  # fmt: skip


def _f1_interval(records: list[Record], task: Task) -> tuple[float | None, float | None]:
    """Macro-F1 resampled as a whole, in clusters where groups repeat."""
    from harness.statistics import macro_f1_interval, repeating

    if len(records) < 2:
        return None, None
    low, high = macro_f1_interval(
        [r["label"] for r in records],
        [r["predicted_label"] for r in records],
        task.labels,
        clusters=repeating(_groups(records)),
    )
    return low, high


def _likelihood_values(records: list[Record], task: Task, category: str | None) -> list[Value]:
    """Corpus values of the reference's likelihood: sums first, then the ratio."""
    scored = [r for r in records if r.get("nll") is not None]
    if not scored:
        return []
    nll, tokens = (math.fsum(r[key] for r in scored) for key in ("nll", "answer_tokens"))
    size = sum(len(r["reference"].encode()) for r in scored)
    loss = nll / tokens
    numbers = {
        "eval_loss": loss,
        "perplexity": math.exp(min(loss, 700)),
        "bits_per_byte": nll / math.log(2) / size,
        "token_accuracy": math.fsum(r["correct_tokens"] for r in scored) / tokens,
        "entropy": math.fsum(r["entropy"] for r in scored) / tokens,
    }
    return [
        Value(
            name, number, *fact(name), n=len(scored), category=category,
            signature=signature("likelihood", task),
        )
        for name, number in numbers.items()
    ]  # fmt: skip


def signature(metric: str, task: Task) -> str:
    """How ``metric`` is computed and its family's version, in sacreBLEU's manner."""
    options = task.evaluation
    if metric.startswith("rouge"):
        settings = f"tok:{options.rouge_tokenizer}|stem:{options.rouge_stemmer}"
        return f"rouge|{settings}|v:{VERSIONS['rouge']}"
    fixed = {
        "numeric_accuracy": (
            f"numeric|lang:{task.language}|rel:{options.numeric_rel_tol}|scale:as_written"
            f"|v:{VERSIONS['numeric']}"
        ),
        "chrf": f"chrf|beta:2|order:6|v:{VERSIONS['chrf']}",
        "exact_match": f"exact_match|normalised|v:{VERSIONS['exact_match']}",
        "likelihood": f"likelihood|teacher_forced|eos:counted|v:{VERSIONS['likelihood']}",
        "accounting": f"accounting|v:{VERSIONS['accounting']}",
    }
    if metric in fixed:
        return fixed[metric]
    if task.labels:
        names = f"labels:{','.join(task.labels)}"
        return f"{metric}|{names}|unparsed:wrong|v:{VERSIONS['labels']}"
    return f"{metric}|evaluate"


def confusion_record(records: list[Record], labels: tuple[str, ...]) -> dict[str, Any]:
    """Counts with gold labels as rows and predicted labels, then `unparsed`, as columns."""
    columns = [*labels, None]
    matrix = [
        [sum(r["label"] == g and r["predicted_label"] == p for r in records) for p in columns]
        for g in labels
    ]
    return {"labels": list(labels), "matrix": matrix}
