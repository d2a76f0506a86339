"""Load, fine-tune, predict and measure one cell with the Hugging Face stack."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from harness.backends.base import Device, Seen, elapsed, known
from harness.backends.hf.counters.energy import energy
from harness.backends.hf.counters.memory import device_memory, free, memory_peak, weights_mib
from harness.backends.hf.decoding.decode import decoding_facts
from harness.backends.hf.encoding import NOTICES, Encoder, encode_prompts
from harness.backends.hf.models.loading import (
    add_adapter,
    census,
    load_model,
    load_served,
    load_tokenizer,
    prepare_for_kbit,
)
from harness.backends.hf.stop_tokens import loaded_stops
from harness.backends.hf.tasks import label_answers
from harness.backends.hf.tasks import label_head as classification
from harness.backends.hf.tasks import text as generation
from harness.backends.hf.tasks.control import control
from harness.backends.hf.tasks.random_weights import evaluate_geometry
from harness.backends.hf.training.row_store import rows_key, stored_rows
from harness.datasets.control import load_control
from harness.datasets.example import Example, Splits
from harness.errors import HarnessError
from harness.plan.cell import Cell, evaluated
from harness.plan.task import Task
from harness.results.paths import CellPaths


def evaluate_cell(cell: Cell, task: Task, splits: Splits, paths: CellPaths, device: Device) -> Seen:
    """Train the adapter (unless `base`), reload it from disk, predict, and measure.

    The saved adapter is scored, unmerged, on a freshly loaded base of the same quantization:
    what is scored is what ships.
    """
    if cell.model.weights == "random":
        return evaluate_geometry(cell, device)
    kind = _kind(cell, task)
    tokenizer = load_tokenizer(cell.model)
    seen = Seen()
    _check_leakage(splits, cell, seen)
    if "source" in cell.adapter_config:
        shutil.copytree(cell.adapter_config["source"], paths.adapter, dirs_exist_ok=True)
    elif not cell.is_baseline:
        _fine_tune(kind, cell, task, splits, tokenizer, paths, device, seen)
    device.stage("load")
    started = time.monotonic()
    headed = task.labels if task.answered_by == "head" else ()
    with memory_peak("load") as peak:
        model = load_served(cell, tokenizer, paths.adapter, labels=headed)
    seen.measured(peak.values)
    seen.facts["loaded"] = census(model)
    seen.measured({"weights_mib": weights_mib(model.requires_grad_(False))})
    seen.timings["load"] = elapsed(device, started)
    if hasattr(model, "active_peft_config"):
        seen.facts["adapter_moves_logits_by"] = _adapter_effect(model, tokenizer, cell, splits.test)
    _predict(kind, model, tokenizer, cell, task, splits, device, seen)
    if cell.evaluation.control and task.answered_by != "head":
        items = load_control(cell.evaluation.control, Path(cell.base_folder))
        size = cell.evaluation.batch_size
        seen.control = control(model, tokenizer, items, batch_size=size)
    _measure(kind, model, tokenizer, cell, splits.test, device, seen)
    return seen


def _kind(cell: Cell, task: Task) -> Any:
    """The module that trains and asks: text, labels by a head, or labels as answers."""
    if task.task != "classification":
        return generation
    return classification if cell.dataset.classify_by == "head" else label_answers


def _check_leakage(splits: Splits, cell: Cell, seen: Seen) -> None:
    exact, near = (splits.counts.get(f"overlap_{kind}", 0) for kind in ("exact", "near"))
    warnings = seen.audit.setdefault("warnings", [])
    if exact + near:
        text = f"{exact} test prompts also stand in training, {near} nearly so"
        if cell.evaluation.on_leakage == "error":
            raise HarnessError(text, hint="Set `group_by`, or `evaluation.on_leakage: warn`.")
        warnings.append(text)


def _fine_tune(
    kind: Any, cell: Cell, task: Task, splits: Splits, tokenizer: Any, paths: CellPaths,
    device: Device, seen: Seen,
) -> None:  # fmt: skip
    device.stage("train")
    began = time.monotonic()
    model = load_model(cell, tokenizer, labels=task.labels if kind is classification else ())
    if cell.training.get("prepare_for_kbit"):
        model = prepare_for_kbit(model, cell)
    model = add_adapter(model, cell, classification=kind is classification)
    rows = stored_rows(
        paths.rows, rows_key(cell, task, tokenizer, splits.train),
        lambda: kind.training_rows_of(splits.train, tokenizer, cell, task),
    )  # fmt: skip
    seen.audit.update(rows.audit)
    _check_learnable(rows.audit, cell, seen)
    facts = census(model)
    scratch = tempfile.TemporaryDirectory()
    with scratch as folder, memory_peak("train_peak") as peak, energy() as used:
        trained = kind.train(model, tokenizer, cell, rows, Path(folder))
    seen.measured(known({"train_energy_j": used.joules}))
    seconds = trained.seconds - device.paused_seconds(trained.started)
    model.save_pretrained(paths.adapter)
    tokenizer.save_pretrained(paths.adapter)
    seen.train_log = trained.log
    size = sum(f.stat().st_size for f in paths.adapter.glob("*.safetensors")) / 1024**2
    seen.measured({**peak.values, **trained.cost(facts, seconds), "adapter_mib": size})
    seen.timings |= {"train": seconds, "step": trained.step}
    seen.facts["trained"] = {**facts, "steps": trained.steps}
    del model
    free()
    seen.timings["prepare"] = elapsed(device, began) - seconds


DEFECTS = {
    "rows_without_loss": (
        "on_unlearnable",
        "training rows have no token left to learn from",
        "Raise `training.max_length`",
    ),
    "rows_cut": (
        "on_cut",
        "training rows are cut at max_length",
        "Raise `training.max_length`",
    ),
    "rows_without_eos": (
        "on_missing_eos",
        "training rows lost their end-of-text token",
        "Raise `training.max_length`",
    ),
    "boundary_merges": (
        "on_boundary_merge",
        "training rows tokenize differently across the prompt's end",
        "End the prompt template in a line break",
    ),
}
"""Count of the audit → its policy under `evaluation`, what it means, the way out."""


def _check_learnable(audit: dict[str, int], cell: Cell, seen: Seen) -> None:
    for key, (policy, text, way_out) in DEFECTS.items():
        count = audit.get(key, 0)
        if count and getattr(cell.evaluation, policy) == "error":
            hint = f"{way_out}, or set `evaluation.{policy}: warn`."
            raise HarnessError(f"{count} {text}", hint=hint)
        if count:
            seen.audit["warnings"].append(f"{count} {text}")
    for key, text in NOTICES.items():
        if audit.get(key):
            seen.audit["warnings"].append(f"{audit[key]} {text}")


def _adapter_effect(model: Any, tokenizer: Any, cell: Cell, test: Sequence[Example]) -> float:
    """The largest change of a logit by the adapter on the first test prompt.

    Raises:
        HarnessError: it is nil: the adapter is not active.
    """
    ids = torch.tensor(encode_prompts(cell.model, tokenizer, test[:1]), device=model.device)
    with torch.inference_mode():
        adapted = model(input_ids=ids).logits.float()
        if model.active_peft_config.is_prompt_learning:  # it wraps the base without changing it
            base = model.get_base_model()(input_ids=ids).logits.float()
        else:
            with model.disable_adapter():
                base = model(input_ids=ids).logits.float()
        adapted = adapted[..., -base.shape[1] :, :] if base.dim() == 3 else adapted
    effect = float((adapted - base).abs().max())
    if effect == 0.0:
        raise HarnessError("the trained adapter changes no logit: it is not active, or untrained")
    return effect


def _predict(
    kind: Any, model: Any, tokenizer: Any, cell: Cell, task: Task, splits: Splits, device: Device,
    seen: Seen,
) -> None:  # fmt: skip
    device.stage("predict")
    started = time.monotonic()
    with memory_peak("infer_peak") as peak:
        seen.records = kind.predict(model, tokenizer, cell, task, splits.test)
    seen.timings["predict"] = elapsed(device, started)
    seen.facts["decoding"] = decoding_facts(model)
    if task.answered_by == "head":
        seen.facts["first_prompt"] = seen.records[0]["prompt"]
    else:
        asked = label_answers.asked(splits.test, task) if task.labels else splits.test
        facts = Encoder(cell.model, tokenizer).facts(asked, loaded_stops(model))
        seen.facts |= {"first_prompt": facts["first_prompt"], "prompting": facts}
    seen.measured(peak.values)
    if cell.is_baseline and cell.evaluation.noise_examples:
        _repeat(kind, model, tokenizer, cell, task, splits, device, seen)


def _repeat(
    kind: Any, model: Any, tokenizer: Any, cell: Cell, task: Task, splits: Splits, device: Device,
    seen: Seen,
) -> None:  # fmt: skip
    """The first examples answered again at the same batch size and at half of it."""
    started = time.monotonic()
    size = cell.evaluation.batch_size
    for name, batch_size in (("again", size), ("half batch", max(1, size // 2))):
        # sampled answers are drawn with another seed: the same one would only repeat itself
        seed = cell.evaluation.sampling_seed + 1
        other = evaluated(cell, batch_size=batch_size, sampling_seed=seed)
        test = splits.test[: cell.evaluation.noise_examples]
        seen.repeats[name] = kind.predict(model, tokenizer, other, task, test, likelihoods=False)
    seen.timings["repeat"] = elapsed(device, started)


def _measure(
    kind: Any, model: Any, tokenizer: Any, cell: Cell, test: Sequence[Example], device: Device,
    seen: Seen,
) -> None:  # fmt: skip
    if cell.evaluation.latency_prompts == 0:
        return
    device.stage("measure")
    started = time.monotonic()
    with device.exclusive():
        latency = kind.latency(model, tokenizer, cell, test)
        seen.measured(kind.throughput(model, tokenizer, cell, test))
    seen.measured(device_memory())
    seen.measured(latency.values())
    seen.facts["latency_ms"] = latency.milliseconds()
    seen.timings["measure"] = elapsed(device, started)
