"""What share of the device's measured ceilings training and decoding reach.

Training: model FLOPs over the time of the steps, against the device's fastest matrix product here
(2 a weight forward; backward 2 for the activations and, for trained weights alone, 2 more; the
attention's own products are left out). Decoding: bytes of weights and cache that every step must
read, over its time, against the device's fastest copy here. Ceilings are measured here, not read
from a data sheet.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from transformers import PreTrainedModel

PRODUCT = 8192
"""Rows and columns of the measured matrix product."""
COPY_BYTES = 2**30
ROUNDS = 10


@dataclass(frozen=True)
class Ceilings:
    """The fastest that the device was seen to do."""

    flops: float
    """Floating-point operations a second, bfloat16 products."""
    bandwidth: float
    """Bytes a second, read and written."""


@cache
def ceilings() -> Ceilings | None:
    """Measure once in a process; None without a CUDA device."""
    if not torch.cuda.is_available():
        return None
    found = Ceilings(2 * PRODUCT**3 / _product(), 2 * COPY_BYTES / _copy())
    torch.cuda.empty_cache()
    return found


def _product() -> float:
    matrix = torch.randn(PRODUCT, PRODUCT, device="cuda", dtype=torch.bfloat16)
    return _fastest(lambda: matrix @ matrix)


def _copy() -> float:
    source = torch.empty(COPY_BYTES, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    return _fastest(lambda: target.copy_(source))


def _fastest(work: Any) -> float:
    """Seconds of the fastest of some rounds, by CUDA events."""
    best = float("inf")
    for _ in range(ROUNDS):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        end.record()
        torch.cuda.synchronize()
        best = min(best, start.elapsed_time(end) / 1000)
    return best


def multiplied_params(model: PreTrainedModel) -> int:
    """Parameters that a token is multiplied with: all but an embedding that is looked up alone.

    A tied embedding is the head as well: its product is as large as an untied one's.
    """
    table = model.get_input_embeddings().weight
    head = getattr(model, "get_output_embeddings", lambda: None)()
    whole = int(model.num_parameters())
    return whole if head is not None and head.weight is table else whole - int(table.numel())


def training_share(parameters: int, trainable: int, tokens: int, seconds: float) -> float | None:
    """Model FLOPs utilisation of training ``trainable`` of ``parameters`` on ``tokens``."""
    limit = ceilings()
    if limit is None:
        return None
    work = (4 * (parameters - trainable) + 6 * trainable) * tokens
    return work / seconds / limit.flops


def decoding_share(step_bytes: int, seconds: float) -> float | None:
    """Memory-bandwidth utilisation of decode steps that must read ``step_bytes`` each."""
    limit = ceilings()
    return None if limit is None else step_bytes / seconds / limit.bandwidth
