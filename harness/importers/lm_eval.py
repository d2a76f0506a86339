"""Per-sample logs of lm-evaluation-harness (`--log_samples`): `samples_<task>_<time>.jsonl`.

A line is one document under one filter: `doc_id, target, arguments, filtered_resps, filter,
metrics, doc_hash, prompt_hash` and a value for each metric. The `results_<time>.json` beside it
holds the model (`model_args`: `pretrained=…,peft=…,load_in_4bit=True,dtype=…`), each metric's
direction and its aggregation; without that file the folder's name is the model, and a metric that
we do not know has no direction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.datasets.example import digest
from harness.datasets.lm_eval_yaml import AGGREGATIONS, primary_of
from harness.errors import HarnessError
from harness.importers.foreign import mapping, parsed_json, rows, text_in, word
from harness.importers.imported import Imported, plain
from harness.importers.lm_eval_values import Scored, values_of
from harness.metrics.prediction import Prediction

_NAME = re.compile(r"samples_(?P<task>.+?)_(?P<time>\d{4}-\d\d-\d\dT[\d.:+-]+)\.jsonl\Z")
_NO_METRIC = ("doc_id", "target", "idx", "index")
"""Numbers of a line that are no score, in logs that do not list their metrics."""


@dataclass(frozen=True)
class _Log:
    """One log and the results file that was written with it."""

    path: Path
    task: str
    results: Mapping[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> Mapping[str, Any]:
        """How the tool was called."""
        return mapping(self.results.get("config"))

    @property
    def arguments(self) -> Mapping[str, Any]:
        """`model_args`, parsed."""
        return _arguments(self.config.get("model_args"))

    @property
    def arguments_text(self) -> str:
        """`model_args` as the tool's command line has them."""
        return ",".join(f"{key}={value}" for key, value in self.arguments.items())

    @property
    def model(self) -> str:
        """The model's path or hub id."""
        given = self.arguments.get("pretrained") or self.arguments.get("model")
        return str(given or self.results.get("model_name") or self.path.parent.name)

    @property
    def own_axes(self) -> dict[str, Any] | None:
        """The cell's axes, where `harness report --lm-eval` wrote the log; else None."""
        named = mapping(self.results.get("harness"))
        texts = {key: word(named.get(key)) for key in ("model", "quantization", "adapter")}
        seed = named.get("seed")
        if None in texts.values() or not (seed is None or type(seed) is int):
            return None
        return {**texts, "seed": seed}

    @property
    def dataset(self) -> str:
        """The data set's name: a run of ours may have one task twice, by itself or in a group."""
        named = word(mapping(self.results.get("harness")).get("dataset"))
        if named is None:
            return self.task
        several = len(mapping(self.results.get("configs"))) > 1
        return f"{named}-{self.task}" if several else named

    @property
    def precision(self) -> str:
        """What the weights were loaded in: part of what distinguishes two logs of one model."""
        return str(self.arguments.get("dtype") or self.config.get("model_dtype") or "")


def recognises(path: Path) -> bool:
    """Whether ``path`` is named as a per-sample log."""
    return path.name.startswith("samples_") and path.suffix == ".jsonl"


def read(paths: Sequence[Path]) -> list[Imported]:
    """One cell per log; of several logs of one model, task and settings the newest counts."""
    logs = [_log(path) for path in sorted(paths)]
    newest = {(log.path.parent, log.task, *_axes(log).values(), log.precision): log for log in logs}
    kept = list(newest.values())
    named = _quantizations(kept)
    return [_cell(log, quantization) for log, quantization in zip(kept, named, strict=True)]


def _log(path: Path) -> _Log:
    match = _NAME.match(path.name)
    task = match["task"] if match else path.stem.removeprefix("samples_")
    found = path.parent / f"results_{match['time']}.json" if match else None
    if found is None or not found.is_file():
        return _Log(path, task)
    record = parsed_json(text_in(found), str(found))
    if not isinstance(record, dict) or not isinstance(record.get("config", {}), dict):
        hint = "Give the results file that `lm_eval --output_path` wrote."
        raise HarnessError(
            "not a results file of lm-evaluation-harness", where=str(found), hint=hint
        )
    return _Log(path, task, record)


def _quantizations(logs: Sequence[_Log]) -> list[str]:
    """Each log's quantization; unquantized weights are named by their precision where it differs.

    Two precisions of one model are two variants: without the name they would be one cell.
    """
    precisions: dict[tuple[Any, ...], set[str]] = {}
    for log in logs:
        precisions.setdefault((log.task, *_axes(log).values()), set()).add(log.precision)
    found = []
    for log in logs:
        axes = _axes(log)
        several = len(precisions[log.task, *axes.values()]) > 1
        precision = plain(log.precision.removeprefix("torch.") or "auto")
        base = str(axes["quantization"])
        found.append(
            base if not several else precision if base == "none" else f"{base}-{precision}"
        )
    return found


def _cell(log: _Log, quantization: str) -> Imported:
    records: dict[str, Prediction] = {}
    samples: dict[str, list[Scored]] = {}
    for number, line in enumerate(text_in(log.path).split("\n"), start=1):
        if line.strip():
            sample = _parsed(line, log.path, number)
            record = records.setdefault(str(sample["doc_id"]), record_of(sample))
            collect_scores(samples, sample, record)
    if not records:
        raise HarnessError("the log holds no samples", where=str(log.path))
    scored = list(records.values())
    values = values_of(log.task, scored, samples, log.results)
    if not values:
        raise HarnessError("no sample has a numeric score", where=str(log.path))
    axes = {**_axes(log), "quantization": quantization}
    notes = tuple(f"{value.metric}: {value.note}" for value in values if value.note)
    return Imported(
        **axes,
        dataset=plain(log.dataset),
        primary_metric=primary_of([value.metric for value in values]),
        source=log.path,
        values=tuple(values),
        records=scored,
        facts={"model_args": log.arguments_text, "task": log.task},
        warnings=notes,
    )


def _parsed(line: str, path: Path, number: int) -> Mapping[str, Any]:
    where = f"{path}:{number}"
    sample = parsed_json(line, where)
    if not isinstance(sample, dict) or "doc_id" not in sample:
        hint = "Give a log that `lm_eval --log_samples` wrote."
        text = "not a sample of lm-evaluation-harness: it has no `doc_id`"
        raise HarnessError(text, where=where, hint=hint)
    return sample


def collect_scores(
    samples: dict[str, list[Scored]], sample: Mapping[str, Any], record: Prediction
) -> None:
    """Add a line's values to those of its metrics, named with the filter if there are several."""
    chosen = sample.get("filter", "none")
    named = [metric for metric in rows(sample.get("metrics")) if word(metric)]
    for metric in named or _numbers(sample):
        name = metric if chosen in ("none", None) else f"{metric},{chosen}"
        samples.setdefault(name, []).append(Scored(record, sample.get(metric)))


def _numbers(sample: Mapping[str, Any]) -> Iterable[str]:
    """Logs before 0.4.8 have no `metrics`: every number that is no identity is one."""
    numbers = [k for k, v in sample.items() if isinstance(v, int | float) and k not in _NO_METRIC]
    return [*numbers, *(k for k in AGGREGATIONS if isinstance(sample.get(k), list))]


def record_of(sample: Mapping[str, Any]) -> Prediction:
    """The answer that a line of a log holds, without its scores."""
    prompt, target = _prompt(sample.get("arguments")), str(sample.get("target"))
    return {
        "id": str(sample["doc_id"]),
        "prompt": prompt,
        "example_prompt": prompt,
        "reference": target,
        "prediction": _answer(sample.get("filtered_resps")),
        "finish_reason": "unknown",
        "data_hash": str(sample.get("doc_hash") or digest(target))[:12],
        "prompt_hash": str(sample.get("prompt_hash") or digest(prompt))[:12],
        "answered_by": "generation",
        "category": None,
        "group": None,
        "gold": None,
        "scores": {},
    }


def _prompt(arguments: Any) -> str:
    """The first request's context; logs since 0.4.3 name the arguments."""
    first: Any = arguments
    while isinstance(first, list | dict) and first:
        first = next(iter(first.values())) if isinstance(first, dict) else first[0]
    return first if isinstance(first, str) else ""


def _answer(responses: Any) -> str:
    """The text; of log-likelihoods the number of the likeliest choice."""
    if not isinstance(responses, list) or not responses:
        return str(responses or "")
    if isinstance(responses[0], str):
        return responses[0]
    try:
        scores = [float(r[0]) for r in responses if isinstance(r, list) and r]
    except (TypeError, ValueError):
        return str(responses[0])
    return f"choice {scores.index(max(scores))}" if scores else str(responses[0])


def _axes(log: _Log) -> dict[str, Any]:
    if log.own_axes is not None:
        return log.own_axes
    arguments = log.arguments
    quantization = "none"
    for key, name in (("load_in_4bit", "4bit"), ("load_in_8bit", "int8")):
        if str(arguments.get(key)).lower() == "true":
            quantization = str(arguments.get("bnb_4bit_quant_type") or name)
    adapter = _adapter(str(arguments["peft"])) if arguments.get("peft") else "base"
    return {
        "model": plain(log.model),
        "quantization": quantization,
        "adapter": adapter,
        "seed": None if adapter == "base" else 0,
    }


def _adapter(path: str) -> str:
    """The last part of an adapter's path that names it: not `adapter` nor a checkpoint's number."""
    parts = [part for part in path.split("/") if part]
    named = [p for p in parts if not re.fullmatch(r"adapter(_model)?|checkpoint-\d+", p)]
    return plain((named or parts)[-1])


def _arguments(text: Any) -> Mapping[str, Any]:
    if isinstance(text, dict):
        return text
    pairs = (part.partition("=") for part in str(text or "").split(",") if "=" in part)
    return {key.strip(): value.strip() for key, _, value in pairs}
