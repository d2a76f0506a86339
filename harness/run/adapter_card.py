"""The model card of a trained adapter: what it is, how it was made, what was measured."""

from __future__ import annotations

import json
from typing import Any

from harness.results.result import CellResult

SHOWN = (
    "rougeL", "numeric_accuracy", "accuracy", "f1_macro", "chrf", "eval_loss", "latency_p50_ms",
    "infer_peak_vram_mib", "infer_peak_rss_mib", "train_seconds", "trainable_params",
)  # fmt: skip


def adapter_card(result: CellResult, *, source: str) -> str:
    """Markdown with the hub's metadata: base model, library, and measured results.

    Args:
        result: The finished cell.
        source: Hub id or name of the base model; a local path is not written.
    """
    values = [v for m in SHOWN if (v := result.value(m)) and v.value is not None]
    measured = [v for v in values if v.n is not None]
    base = source if not source.startswith("/") else result.model
    lines = [
        "---",
        f"base_model: {json.dumps(base)}",
        "library_name: peft",
        "tags: [lora, harness]",
    ]
    if measured:
        lines += ["model-index:", f"- name: {json.dumps(result.key)}", "  results:"]
        lines += ["  - task: {type: text-generation}"]
        lines += [f"    dataset: {{name: {json.dumps(result.dataset)}, type: {result.dataset}}}"]
        lines += ["    metrics:"]
        lines += [
            f"    - {{type: {v.metric}, value: {v.value:.6g}, name: {json.dumps(v.metric)}}}"
            for v in measured
        ]
    lines += ["---", "", f"# {result.adapter} on {result.model}", ""]
    lines += [_sentence(result), "", "| metric | value | 95% interval | n |", "|---|---|---|---|"]
    lines += [_row(v) for v in values]
    lines += ["", "Settings:", "", "```json", json.dumps(_settings(result), indent=1), "```", ""]
    return "\n".join(lines)


def _sentence(result: CellResult) -> str:
    return (
        f"Trained on {result.data.get('train_rows')} rows of {result.dataset}, quantization"
        f" {result.quantization}, seed {result.seed}; scored on {result.data.get('test_rows')} rows"
        f" that it was not trained on. A difference to the base model, with its interval, stands in"
        f" the run's leaderboard."
    )


def _row(value: Any) -> str:
    low, high = value.ci_low, value.ci_high
    interval = "–" if low is None else f"{low:.4g} to {high:.4g}"
    unit = f" {value.unit}" if value.unit else ""
    return f"| {value.metric} | {value.value:.4g}{unit} | {interval} | {value.n or '–'} |"


def _settings(result: CellResult) -> dict[str, Any]:
    cell = result.provenance.get("cell", {})
    keys = ("adapter_config", "training", "quantization_config", "generation")
    return {key: cell.get(key) for key in keys}
