"""Per-sample logs of lm-evaluation-harness (`--log_samples`): `samples_<task>_<time>.jsonl`.

A line is one document under one filter: `doc_id, target, arguments, filtered_resps, filter,
metrics, doc_hash, prompt_hash` and a value for each metric. Model, adapter and quantization are
read from `model_args` in the `results_<time>.json` beside it (`pretrained=…,peft=…,
load_in_4bit=True`); without that file the folder's name is the model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from harness.datasets.example import digest
from harness.errors import HarnessError
from harness.importers.imported import Imported, plain
from harness.scoring.aggregation import mean_value

_NAME = re.compile(r"samples_(?P<task>.+?)_(?P<time>\d{4}-\d\d-\d\dT[\d.:+-]+)\.jsonl\Z")
PREFERRED = ("acc_norm", "exact_match", "acc", "f1", "em")
"""Metrics that can be a task's primary one, the first that is there."""


def recognises(path: Path) -> bool:
    """Whether ``path`` is named as a per-sample log."""
    return path.name.startswith("samples_") and path.suffix == ".jsonl"


def read(paths: Sequence[Path]) -> list[Imported]:
    """One cell per log; of several logs of a task in one folder the newest counts."""
    newest: dict[tuple[Path, str], Path] = {}
    for path in sorted(paths):
        newest[path.parent, _task(path)] = path
    return [_cell(path, task) for (_, task), path in newest.items()]


def _task(path: Path) -> str:
    match = _NAME.match(path.name)
    return match["task"] if match else path.stem.removeprefix("samples_")


def _cell(path: Path, task: str) -> Imported:
    records: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(path.read_text("utf-8").split("\n"), start=1):
        if line.strip():
            _add(records, _parsed(line, path, number))
    if not records:
        raise HarnessError("holds no sample", where=str(path))
    scored = list(records.values())
    names = sorted({metric for record in scored for metric in record["scores"]})
    if not names:
        raise HarnessError("no sample has a number for a score", where=str(path))
    about = _about(path)
    return Imported(
        **_axes(about, path),
        dataset=plain(task),
        primary_metric=_primary(names),
        source=path,
        values=tuple(mean_value(scored, name) for name in names),
        records=scored,
        facts={"model_args": about.get("model_args"), "task": task},
    )


def _parsed(line: str, path: Path, number: int) -> dict[str, Any]:
    try:
        sample = json.loads(line)
        return {"doc_id": sample["doc_id"], **sample}
    except (ValueError, KeyError, TypeError) as error:
        hint = "Give a log that `lm_eval --log_samples` wrote."
        text = f"no sample of lm-evaluation-harness: {type(error).__name__} {error}"
        raise HarnessError(text, where=f"{path}:{number}", hint=hint) from None


def _add(records: dict[str, dict[str, Any]], sample: dict[str, Any]) -> None:
    """Add a line to the record of its document; the filter's name tells apart equal metrics."""
    key = str(sample["doc_id"])
    record = records.setdefault(key, _record(key, sample))
    chosen = sample.get("filter", "none")
    for metric in sample.get("metrics") or _numbers(sample):
        value = sample.get(metric)
        if isinstance(value, bool | int | float):
            name = metric if chosen in ("none", None) else f"{metric},{chosen}"
            record["scores"][name] = float(value)


def _numbers(sample: dict[str, Any]) -> Iterable[str]:
    """Logs before 0.4.8 have no `metrics`: every number that is no identity is one."""
    return [k for k, v in sample.items() if isinstance(v, int | float) and k != "doc_id"]


def _record(key: str, sample: dict[str, Any]) -> dict[str, Any]:
    prompt, target = _prompt(sample.get("arguments")), str(sample.get("target"))
    return {
        "id": key,
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
    scores = [float(r[0]) for r in responses if isinstance(r, list) and r]
    return f"choice {scores.index(max(scores))}" if scores else str(responses[0])


def _primary(names: list[str]) -> str:
    by_metric = {name.partition(",")[0]: name for name in reversed(names)}
    return next((by_metric[metric] for metric in PREFERRED if metric in by_metric), names[0])


def _about(path: Path) -> dict[str, Any]:
    """`config` of the results file that was written with the log."""
    match = _NAME.match(path.name)
    found = path.parent / f"results_{match['time']}.json" if match else None
    if found is None or not found.is_file():
        return {}
    try:
        record = json.loads(found.read_text("utf-8"))
        config = record.get("config", {})
        return {"model_name": record.get("model_name"), **config}
    except ValueError as error:
        raise HarnessError(f"cannot be read: {error}", where=str(found)) from None


def _axes(about: dict[str, Any], path: Path) -> dict[str, Any]:
    arguments = _arguments(about.get("model_args"))
    model = arguments.get("pretrained") or about.get("model_name") or path.parent.name
    quantization = "none"
    for key, name in (("load_in_4bit", "4bit"), ("load_in_8bit", "int8")):
        if str(arguments.get(key)).lower() == "true":
            quantization = str(arguments.get("bnb_4bit_quant_type") or name)
    adapter = _adapter(str(arguments["peft"])) if arguments.get("peft") else "base"
    return {
        "model": plain(str(model)),
        "quantization": quantization,
        "adapter": adapter,
        "seed": None if adapter == "base" else 0,
    }


def _adapter(path: str) -> str:
    """The last part of an adapter's path that names it: not `adapter` nor a checkpoint's number."""
    parts = [part for part in path.split("/") if part]
    named = [p for p in parts if not re.fullmatch(r"adapter(_model)?|checkpoint-\d+", p)]
    return plain((named or parts)[-1])


def _arguments(text: Any) -> dict[str, Any]:
    if isinstance(text, dict):
        return text
    pairs = (part.partition("=") for part in str(text or "").split(",") if "=" in part)
    return {key.strip(): value.strip() for key, _, value in pairs}
