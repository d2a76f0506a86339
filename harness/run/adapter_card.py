"""The model card of a trained adapter: what it is, how it was made, what was measured."""

from __future__ import annotations

import json

from harness.analysis.wording import number
from harness.counting import counted
from harness.metrics.registry import find, shown_in
from harness.plan.hub import is_hub_id
from harness.results.packing import portable
from harness.results.result import CellResult, Value
from harness.suite.options import FULL

TASKS = {"classification": "text-classification", "generation": "text-generation"}
"""The harness's task → the hub's."""


def adapter_card(result: CellResult, *, source: str) -> str:
    """Markdown with the hub's metadata: base model, library, and measured results.

    Args:
        result: The finished cell.
        source: Hub id or name of the base model; a local path is not written.
    """
    lines = [f"# {result.adapter} on {result.model}", ""]
    lines += [training_sentence(result), ""]
    lines += ["A difference to the base model, with its interval, is in the run's leaderboard.", ""]
    lines += [*value_table(result), *settings_block(result)]
    return card_metadata(result, source=source) + "\n".join(lines)


def card_metadata(result: CellResult, *, source: str, name: str | None = None) -> str:
    """The front matter of the hub: `base_model`, `library_name`, and results as a `model-index`.

    A base that is no hub id is left out: the hub would link to a model of that name by others.

    Args:
        result: The finished cell.
        source: Hub id or path of the base model.
        name: The model's name in the index; default: the cell's key.
    """
    from huggingface_hub import EvalResult, ModelCardData

    task = TASKS["classification" if result.answered_by == "head" else "generation"]
    dataset = result.provenance.cell.get("dataset", {})
    scored = [v for v in shown_values(result) if not _is_measured(v)]
    results = [
        EvalResult(
            task_type=task,
            dataset_type=dataset.get("source") if _is_far(dataset) else result.dataset,
            dataset_name=result.dataset,
            dataset_revision=dataset.get("revision"),
            metric_type=v.metric,
            metric_value=float(f"{v.value:.6g}"),
            metric_name=v.metric,
        )
        for v in scored
    ]
    data = ModelCardData(
        base_model=source if is_hub_id(source) else None,
        library_name="transformers" if is_full(result) else "peft",
        pipeline_tag=task,
        tags=["finetune-harness", "full" if is_full(result) else method_of(result)],
        model_name=(name or result.key) if results else None,
        eval_results=results or None,
    )
    return f"---\n{data.to_yaml()}\n---\n\n"


def _is_far(dataset: dict[str, str]) -> bool:
    source = dataset.get("source") or ""
    return is_hub_id(source) and "." not in source.rpartition("/")[2]


def method_of(result: CellResult) -> str:
    """PEFT's name of the adapter's method: `lora`."""
    return str(result.provenance.cell.get("adapter_config", {}).get("peft_type", "lora"))


def is_full(result: CellResult) -> bool:
    """Whether all weights were trained, so that the cell's adapter is a whole model."""
    return method_of(result) == FULL


def shown_values(result: CellResult) -> list[Value]:
    """Its primary metric and those that belong on a card, as far as they have a value."""
    names = dict.fromkeys((result.primary_metric, *shown_in("card")))
    return [v for name in names if (v := result.value(name)) and v.value is not None]


def _is_measured(value: Value) -> bool:
    record = find(value.metric)
    return record is not None and record.reads == "measurement"


def training_sentence(result: CellResult) -> str:
    """How it was trained and on how many rows it was scored."""
    rows = result.data.get("test_rows")
    if "source" in result.provenance.cell.get("adapter_config", {}):
        return f"Trained elsewhere; scored on {_rows(rows)} of {result.dataset}."
    return (
        f"Trained on {_rows(result.data.get('train_rows'))} of {result.dataset}, quantization"
        f" {result.quantization}, seed {result.seed}; scored on {_rows(rows)} that it was"
        " not trained on."
    )


def value_table(result: CellResult) -> list[str]:
    """The lines of a Markdown table of what was measured."""
    rows = [_row(value) for value in shown_values(result)]
    return ["| metric | value | 95% interval | n |", "|---|---|---|---|", *rows, ""]


def _row(value: Value) -> str:
    low, high = value.ci_low, value.ci_high
    interval = "–" if low is None or high is None else f"{number(low)} to {number(high)}"
    unit = f" {value.unit}" if value.unit else ""
    shown = "–" if value.value is None else f"{number(value.value)}{unit}"
    return f"| {value.metric} | {shown} | {interval} | {value.n or '–'} |"


def settings_block(result: CellResult) -> list[str]:
    """The lines that show the cell's settings as JSON, without paths of this machine."""
    cell = result.provenance.cell
    keys = ("adapter_config", "training", "quantization_config", "generation")
    settings = portable({key: cell.get(key) for key in keys})
    return [
        "## Settings",
        "",
        "```json",
        json.dumps(settings, indent=1, ensure_ascii=False),
        "```",
        "",
    ]


def _rows(count: object) -> str:
    return counted(count, "row") if isinstance(count, int) else "an unknown number of rows"
