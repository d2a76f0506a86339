"""The names under which trackers get numbers: those that transformers' own callbacks use."""

from __future__ import annotations

from collections.abc import Mapping

RESULT = "result"
"""What a cell's metrics begin with: they are of the trained model, not of a training step."""


def step_numbers(numbers: Mapping[str, float]) -> dict[str, float]:
    """``numbers`` of a step as TensorBoard, W&B and Trackio call them: `train/loss`."""
    return {f"train/{name}": value for name, value in numbers.items()}


def result_numbers(metrics: Mapping[str, float]) -> dict[str, float]:
    """A cell's ``metrics`` as `result/rougeL`; its evaluation loss as `eval/loss`, too."""
    found = {f"{RESULT}/{name}": value for name, value in metrics.items()}
    if "eval_loss" in metrics:
        found["eval/loss"] = metrics["eval_loss"]
    return found
