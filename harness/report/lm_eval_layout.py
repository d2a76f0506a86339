"""A run in the layout of lm-evaluation-harness: `results_TIME.json` and `samples_TASK_TIME.jsonl`.

One folder for each cell, as if the tool had been called for it: what it wrote of its own tasks, and
our own data sets in the same form. Numbers, prompts and answers are those of the run; of settings
there is what the run recorded, and a block `harness` that names the cell.
"""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from harness.errors import HarnessError
from harness.importers.foreign import mapping
from harness.metrics.prediction import Prediction
from harness.metrics.registry import find
from harness.results.paths import folder_name, json_text, write_text
from harness.results.result import CellResult
from harness.results.run import Run
from harness.results.value import Value

FOLDER = "lm_eval"
NOT_A_MEAN = "corpus"
"""The aggregation of metrics that are no mean of scores per example; the tool has no such name."""


def write_lm_eval(run: Run, directory: Path) -> Path:
    """Write every finished cell of ``run`` that has answers to ``lm_eval/`` in ``directory``.

    Raises:
        HarnessError: the run was read without texts, which samples consist of.
    """
    if not run.has_texts:
        refuse_textless()
    for cell in run.cells:
        records = run.predictions(cell) if cell.status == "ok" else []
        if records:
            variant = [cell.model, cell.quantization, cell.adapter]
            seed = [] if cell.seed is None else [f"s{cell.seed}"]
            place = (
                directory / FOLDER / folder_name([*variant, *seed]) / folder_name([cell.dataset])
            )
            _write_cell(cell, records, place, _time_of(run, cell))
    return directory / FOLDER


def refuse_textless() -> NoReturn:
    """Refuse to write samples of a run whose texts are left out.

    Raises:
        HarnessError: always.
    """
    what = "samples of lm-evaluation-harness quote the data, which is left out here"
    raise HarnessError(what, hint="Write them from the run itself, with its texts.")


def _time_of(run: Run, cell: CellResult) -> str:
    """When the cell was finished, by its file; in a packed run that is the beginning of 1970."""
    path = run.paths(cell).result
    seconds = path.stat().st_mtime if path.is_file() else 0.0
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H-%M-%S.000000")


def _write_cell(cell: CellResult, records: list[Prediction], place: Path, time: str) -> None:
    tool = cell.facts.get("lm_eval")
    if isinstance(tool, Mapping):
        results, samples = dict(tool), _tool_samples(tool, records)
    else:
        results = _own_results(cell, records)
        samples = {cell.dataset: [_own_sample(k, record) for k, record in enumerate(records)]}
    results["config"] = {**results.get("config", {}), **_config(cell)}
    results |= {
        "task_hashes": {task: _hash_of(lines) for task, lines in samples.items()},
        "model_source": "hf",
        "model_name": cell.model,
        "model_name_sanitized": folder_name([cell.model]),
        "harness": {**cell.axes, "cell": cell.key, "fingerprint": cell.fingerprint},
    }
    for task, lines in samples.items():
        text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
        write_text(place / f"samples_{folder_name([task])}_{time}.jsonl", text)
    write_text(place / f"results_{time}.json", json_text(results))


def _config(cell: CellResult) -> dict[str, object]:
    """How the model was loaded, in the tool's words."""
    stored = cell.provenance.cell
    source = str(mapping(stored.get("model")).get("source") or cell.model)
    arguments: dict[str, object] = {
        # a folder of the machine that it ran on says nothing elsewhere
        "pretrained": cell.model if source.startswith(("/", "\\")) or ":" in source else source,
        **mapping(stored.get("quantization_config")),
    }
    if not cell.is_baseline:
        arguments["peft"] = cell.adapter
    return {"model": "hf", "model_args": arguments, "batch_size": cell.evaluation("batch_size")}


def _tool_samples(
    results: Mapping[str, Any], records: Sequence[Prediction]
) -> dict[str, list[dict[str, Any]]]:
    """Task → the tool's samples as its own files have them, by filter and then by document."""
    names = list(mapping(results.get("configs")))
    found: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        task = record.get("category") or (names[0] if len(names) == 1 else "")
        found.setdefault(task, []).extend(_as_filed(sample) for sample in record["lm_eval"])
    return found


def _as_filed(sample: Mapping[str, Any]) -> dict[str, Any]:
    """A sample as `EvaluationTracker.save_results_samples` writes it."""
    arguments = {
        f"gen_args_{i}": {f"arg_{j}": part for j, part in enumerate(given)}
        for i, given in enumerate(sample["arguments"])
    }
    return {
        **sample,
        "arguments": arguments,
        "resps": _as_texts(sample["resps"]),
        "filtered_resps": _as_texts(sample["filtered_resps"]),
        "target": str(sample["target"]),
    }


def _as_texts(value: object) -> object:
    return [_as_texts(each) for each in value] if isinstance(value, list) else str(value)


def _own_sample(number: int, record: Prediction) -> dict[str, Any]:
    """An answer to an example of our own as one of the tool's samples."""
    doc = {key: record.get(key) for key in ("id", "example_prompt", "reference", "category")}
    answer, scores = record.get("prediction", record.get("predicted_label")), record["scores"]
    return {
        "doc_id": number,
        "doc": {key: value for key, value in doc.items() if value is not None},
        "target": record.get("reference", ""),
        "arguments": {"gen_args_0": {"arg_0": record.get("prompt", ""), "arg_1": {}}},
        "resps": [[str(answer)]],
        "filtered_resps": [str(answer)],
        "filter": "none",
        "metrics": list(scores),
        "doc_hash": record.get("data_hash", ""),
        "prompt_hash": record.get("prompt_hash", ""),
        "target_hash": _hash(record.get("reference", "")),
        **scores,
    }


def _own_results(cell: CellResult, records: Sequence[Prediction]) -> dict[str, Any]:
    """What the tool's results file holds of a task, of a data set of our own."""
    task, n = cell.dataset, len(records)
    values = [v for v in cell.values if v.category is None and v.value is not None and _scored(v)]
    numbers: dict[str, object] = {"name": task, "alias": task, "sample_len": n}
    listed = []
    for value in values:
        scores = [r["scores"][value.metric] for r in records if value.metric in r["scores"]]
        numbers[f"{value.metric},none"] = value.value
        numbers[f"{value.metric}_stderr,none"] = _stderr(scores)
        listed.append(
            {
                "metric": value.metric,
                "aggregation": "mean" if scores else NOT_A_MEAN,
                "higher_is_better": value.higher_is_better,
            }
        )
    version = str(mapping(cell.data.get("content")).get("data", ""))
    config = {
        "task": task,
        "output_type": "generate_until" if cell.task == "generation" else "multiple_choice",
        "metric_list": listed,
        "generation_kwargs": dict(mapping(cell.provenance.cell.get("generation"))),
        "num_fewshot": 0,
        "metadata": {"version": version},
    }
    return {
        "results": {task: numbers},
        "group_subtasks": {},
        "configs": {task: config},
        "versions": {task: version},
        "n-shot": {task: 0},
        "higher_is_better": {task: {v.metric: v.higher_is_better for v in values}},
        "n-samples": {task: {"original": n, "effective": n}},
    }


def _scored(value: Value) -> bool:
    """Whether ``value`` is computed from answers: not measured, and not how answers came out."""
    known = find(value.metric)
    return value.n is not None and (known is None or (known.is_scored and known.reads != "answer"))


def _stderr(scores: Sequence[float]) -> float | str:
    """The tool's standard error of a mean; its word for none."""
    return statistics.stdev(scores) / len(scores) ** 0.5 if len(scores) > 1 else "N/A"


def _hash_of(samples: Sequence[Mapping[str, Any]]) -> str:
    keys = ("doc_hash", "prompt_hash", "target_hash")
    return _hash("".join(str(sample.get(key, "")) for sample in samples for key in keys))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
