"""The model card of a trained adapter: what it is, how it was made, what was measured."""

from __future__ import annotations

import json

from harness.metrics.registry import find, shown_in
from harness.results.result import CellResult, Value


def adapter_card(result: CellResult, *, source: str) -> str:
    """Markdown with the hub's metadata: base model, library, and measured results.

    Args:
        result: The finished cell.
        source: Hub id or name of the base model; a local path is not written.
    """
    values = _shown(result)
    scores = [v for v in values if not _is_measured(v)]
    base = source if not source.startswith("/") else result.model
    lines = [
        "---",
        f"base_model: {json.dumps(base)}",
        "library_name: peft",
        "tags: [lora, harness]",
    ]
    if scores:
        lines += ["model-index:", f"- name: {json.dumps(result.key)}", "  results:"]
        lines += ["  - task: {type: text-generation}"]
        lines += [f"    dataset: {{name: {json.dumps(result.dataset)}, type: {result.dataset}}}"]
        lines += ["    metrics:"]
        lines += [
            f"    - {{type: {v.metric}, value: {v.value:.6g}, name: {json.dumps(v.metric)}}}"
            for v in scores
        ]
    lines += ["---", "", f"# {result.adapter} on {result.model}", ""]
    lines += [_sentence(result), "", "| metric | value | 95% interval | n |", "|---|---|---|---|"]
    lines += [_row(v) for v in values]
    lines += ["", "Settings:", "", "```json", json.dumps(_settings(result), indent=1), "```", ""]
    return "\n".join(lines)


def _shown(result: CellResult) -> list[Value]:
    """Its primary metric and those that belong on a card, as far as they have a value."""
    names = dict.fromkeys((result.primary_metric, *shown_in("card")))
    return [v for name in names if (v := result.value(name)) and v.value is not None]


def _is_measured(value: Value) -> bool:
    record = find(value.metric)
    return record is not None and record.reads == "measurement"


def _sentence(result: CellResult) -> str:
    return (
        f"Trained on {result.data.get('train_rows')} rows of {result.dataset}, quantization"
        f" {result.quantization}, seed {result.seed}; scored on {result.data.get('test_rows')} rows"
        f" that it was not trained on. A difference to the base model, with its interval, is in"
        f" the run's leaderboard."
    )


def _row(value: Value) -> str:
    low, high = value.ci_low, value.ci_high
    interval = "–" if low is None else f"{low:.4g} to {high:.4g}"
    unit = f" {value.unit}" if value.unit else ""
    return f"| {value.metric} | {value.value:.4g}{unit} | {interval} | {value.n or '–'} |"


def _settings(result: CellResult) -> dict[str, object]:
    cell = result.provenance.cell
    keys = ("adapter_config", "training", "quantization_config", "generation")
    return {key: cell.get(key) for key in keys}
