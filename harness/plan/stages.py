"""Fingerprints of a cell's stages, each built on the one before: a change repeats what it touches.

A key holds everything that decides what a stage leaves behind. What is known not to matter is
taken out by name; so a setting that somebody adds counts from the start until it is placed here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.counting import counted
from harness.datasets.example import Example
from harness.plan.adapter_source import ORIGIN
from harness.plan.backends import BACKENDS
from harness.plan.cell import Cell, as_trained, cell_record, identity_of
from harness.plan.machine import Machine
from harness.plan.task import task_record
from harness.suite.dataset_entry import LM_EVAL_KEYS

Stage = Literal["train", "predict", "measure", "score"]
STAGES: tuple[Stage, ...] = ("train", "predict", "measure", "score")
"""In the order that a cell passes them."""
LEFT_BY: dict[Stage, str] = {"train": "adapter", "predict": "answers", "measure": "measurements"}
"""What a stage leaves for others, in words."""
VERSIONS: dict[Stage, int] = {"train": 1, "predict": 1, "measure": 1}
"""Raise a stage's when code of ours changes what it leaves behind for the same settings."""

UNSEEN_OF_CARD = frozenset(
    {"name", "description", "source", "revision", "requires", "licence", "gated", "training",
     "generation"}
)  # fmt: skip
"""Fields of a model card that no stage sees: names and texts; `source` and `revision`, whose
content is hashed; `training` and `generation`, which the cell has merged into its own."""
UNSEEN_OF_TASK = frozenset({"primary_metric", "language"})
"""Fields of a task that training and answers do not depend on; scores do."""
EVALUATION: dict[str, tuple[Stage, ...]] = {
    "batch_size": ("predict", "measure"),
    "sampling_seed": ("predict",),
    "noise_examples": ("predict",),
    "control": ("predict",),
    "prompt_tokens": ("measure",),
    "latency_prompts": ("measure",),
    "latency_new_tokens": ("measure",),
    "latency_per": ("score",),
    "metrics": ("score",),
    "numeric_rel_tol": ("score",),
    "rouge_tokenizer": ("score",),
    "rouge_stemmer": ("score",),
    "on_lost_words": ("score",),
    "margin": ("score",),
    "on_leakage": ("score",),
    "on_unlearnable": ("score",),
    "on_cut": ("score",),
    "on_missing_eos": ("score",),
    "on_boundary_merge": ("score",),
}
"""Key of `evaluation` → the stages that see it. The policies and the margin change no output; they
are checked, and stored with the result, whenever a cell is scored. `latency_per` decides which
cells have the stage `measure`, not what it gives."""


@dataclass(frozen=True)
class Surroundings:
    """What stages depend on besides a cell's settings."""

    content: Mapping[str, str]
    """Hashes of model, adapter and control set."""
    hardware: str
    """Numbers measured elsewhere, and answers rounded elsewhere, are made again here."""


@dataclass(frozen=True)
class StageKeys:
    """The fingerprint of each stage of a cell."""

    train: str
    """Of a baseline: of its untouched model."""
    predict: str
    measure: str

    def of(self, stage: Stage) -> str:
        """The key of ``stage``, which is not `score`: that is always made from the others."""
        keys: dict[Stage, str] = {
            "train": self.train, "predict": self.predict, "measure": self.measure
        }  # fmt: skip
        return keys[stage]


def stages_of(cell: Cell) -> tuple[Stage, ...]:
    """The stages that ``cell`` has, in order."""
    there = {
        "train": cell.is_trained,
        "predict": cell.has_answers,
        "measure": cell.is_measured,
        "score": True,
    }
    return tuple(stage for stage in STAGES if there[stage])


def hardware_of(machine: Machine) -> str:
    """The device whose numbers can be reused: the GPU, or the CPU with its cores and vectors."""
    return machine.gpu or f"{machine.cpu}, {counted(machine.cores, 'core')}, {machine.features}"


def stage_keys(
    cell: Cell, around: Surroundings, train: Sequence[Example], test: Sequence[Example]
) -> StageKeys:
    """The fingerprints of the stages of ``cell`` on the rows ``train`` and ``test``."""
    record = cell_record(cell)
    model = _without(identity_of(record["model"], cell.model), UNSEEN_OF_CARD)
    base = {
        "model": [model, around.content["model"], around.content.get("prompt", "")],
        "quantization": record["quantization_config"],
        # a server answers the same whoever asks it
        "hardware": "" if cell.is_served else around.hardware,
        "unplaced": _without(record["evaluation"], EVALUATION),
    }
    if cell.is_trained:
        trainer = as_trained(cell)
        base |= {
            "adapter": _without(record["adapter_config"], ORIGIN),
            "adapter_files": around.content.get("adapter"),
            "training": record["training"],
            "seed": cell.seed,
            "task": _without(task_record(trainer.task), UNSEEN_OF_TASK),
            "rows": _digest(train),
            "backend": BACKENDS.get(cell.backend).trained_by,
            "version": VERSIONS["train"],
        }  # fmt: skip
        if trainer.dataset.classify_by == "head" and _accumulates(cell):
            # earlier versions multiplied loss and gradients by the accumulation
            base["head_loss"] = "mean"
    trained = _hash(base)
    served = [trained, cell.serve, cell.backend, _without(task_record(cell.task), UNSEEN_OF_TASK)]
    predict = {
        "served": served,
        "generation": record["generation"],
        "evaluation": _seen(record["evaluation"], "predict"),
        "control": around.content.get("control"),
        "rows": _digest(test),
        "version": VERSIONS["predict"],
    }
    if cell.dataset.lm_eval_task is not None:
        predict["lm_eval"] = _lm_eval_settings(cell, around)
    timed = max(cell.evaluation.batch_size, cell.evaluation.latency_prompts)
    measure = {
        "served": served,
        # decoding is timed to a fixed length; only random weights take it from `generation`
        "generation": None if cell.has_answers else record["generation"],
        "evaluation": _seen(record["evaluation"], "measure"),
        "classify_by": cell.dataset.classify_by,
        "rows": _digest(test[:timed]),
        "version": VERSIONS["measure"],
    }
    return StageKeys(trained, _hash(predict), _hash(measure))


def _accumulates(cell: Cell) -> bool:
    return cell.training.get("gradient_accumulation_steps", 1) != 1 or bool(
        cell.training.get("auto_find_batch_size")
    )


def _lm_eval_settings(cell: Cell, around: Surroundings) -> dict[str, object]:
    """What the tool's answers depend on besides the documents: its version, the task, how asked."""
    keys = sorted(LM_EVAL_KEYS - {"train_on", "include_path"})
    asked = {key: getattr(cell.dataset, key) for key in keys}
    return {"content": around.content["data"], **asked}


def _without(
    record: Mapping[str, Any], left_out: frozenset[str] | Mapping[str, Any] | set[str]
) -> Any:
    return {key: value for key, value in record.items() if key not in left_out}


def _seen(evaluation: Mapping[str, Any], stage: Stage) -> dict[str, object]:
    return {key: value for key, value in evaluation.items() if stage in EVALUATION.get(key, ())}


def _digest(examples: Sequence[Example]) -> str:
    """A hash of the content of ``examples`` and of their order."""
    text = "\n".join(f"{example.id} {example.content_hash}" for example in examples)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _hash(value: object) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
