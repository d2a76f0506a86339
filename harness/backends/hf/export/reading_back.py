"""An exported GGUF file read again by transformers, and compared with its model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from harness.backends.hf.decoding.agreement import furthest
from harness.backends.hf.export.gguf_file import PLAIN, GgufType
from harness.backends.hf.export.merged import Merged
from harness.backends.hf.models.quantization import unpacked_gguf
from harness.errors import HarnessError

ROUNDING = 1e-3
"""Largest difference of a logit, as a share of the largest one, between two models of the same
values in float32. It was below 1e-5 for every pair tried; another rotation or another epsilon gives
0.1 and more."""


@dataclass(frozen=True)
class ReadBack:
    """What reading the file again showed."""

    weights_differ_by: float
    """The largest difference of a weight, as a share of its tensor's largest."""
    logits_differ_by: float
    """The largest difference of a logit on the probes, as a share of the largest logit."""
    same_next_token: float
    """Share of the probes' positions at which both find the same token the likeliest."""


def read_back(merged: Merged, path: Path, stored: GgufType, probes: Sequence[str]) -> ReadBack:
    """Load ``path`` again and compare weights and logits with ``merged``.

    Raises:
        HarnessError: the file holds other values than the model, or computes other logits.
    """
    exact = stored in ("f32", PLAIN.get(merged.model.dtype))
    found = AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32, **unpacked_gguf()
    ).eval()
    model = merged.model.to(device="cpu", dtype=torch.float32)
    result = _compared(model, found, merged, probes)
    away = furthest([result.weights_differ_by, result.logits_differ_by])
    if not away <= (ROUNDING if exact else math.inf):  # NaN is refused in every type
        path.unlink()
        raise HarnessError(
            f"the GGUF file does not compute what its model does: logits differ by"
            f" {result.logits_differ_by:.2g} of the largest, weights by"
            f" {result.weights_differ_by:.2g}",
            hint="It was deleted. Export `merged` instead, and please report the model.",
        )
    return result


def _compared(
    model: PreTrainedModel, found: PreTrainedModel, merged: Merged, probes: Sequence[str]
) -> ReadBack:
    ours, theirs = model.state_dict(), found.state_dict()
    if ours.keys() != theirs.keys():
        lost = sorted(ours.keys() ^ theirs.keys())[:5]
        raise HarnessError(f"the GGUF file has other weights than its model: {', '.join(lost)}")
    weights = furthest(_apart(ours[name].float(), theirs[name].float()) for name in ours)
    logits, same, total = 0.0, 0, 0
    for probe in probes:
        ids = torch.tensor([merged.tokenizer(probe, add_special_tokens=False)["input_ids"]])
        with torch.inference_mode():
            first, second = (m(input_ids=ids).logits.float() for m in (model, found))
        logits = furthest([logits, _apart(first, second)])
        same += int((first.argmax(-1) == second.argmax(-1)).sum())
        total += ids.shape[1]
    return ReadBack(weights, logits, same / max(1, total))


def _apart(first: torch.Tensor, second: torch.Tensor) -> float:
    if first.shape != second.shape:
        return float("inf")
    return float((first - second).abs().max() / first.abs().max().clamp_min(1e-12))
