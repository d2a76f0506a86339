"""The training of one process of several: the same story as on one device, over a part of the rows.

The trainer deals the batches out among the processes and averages their gradients.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PreTrainedModel

from harness.backends.base import TellStep
from harness.backends.hf.counters.memory import memory_peak
from harness.backends.hf.encoding import TrainingRows
from harness.backends.hf.models.loading import census
from harness.backends.hf.training.rank import OUTCOME, SPEC, STEPS
from harness.plan.cell import Cell, cell_of_record
from harness.results.paths import read_json, write_json


def train_part(folder: Path, rank: int) -> None:
    """Train as the process ``rank`` of those that share ``folder``.

    Raises:
        RuntimeError: the processes did not end with the same weights.
    """
    from harness.backends.hf.backend import kind_of

    spec = read_json(folder / SPEC)
    torch.set_num_threads(int(spec["threads"]))
    if torch.cuda.is_available():
        # before anything is loaded: what says only "cuda" means the current device
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    cell = _by_trl(cell_of_record(spec["cell"]))
    kind = kind_of(cell)
    model = kind.trainable()
    facts = census(model)
    rows = TrainingRows(Dataset.load_from_disk(spec["rows"]), spec["audit"])
    with memory_peak("train_peak") as peak:
        tell = _telling(folder / STEPS) if rank == 0 else None
        trained = kind.train(model, rows, folder / f"trainer-{rank}", tell=tell)
    peaks = _of_all(peak.values)
    if len({str(digest) for digest in _of_all(_digest(model))}) > 1:
        raise RuntimeError("the processes of the training ended with different weights")
    if rank == 0:
        outcome = {
            "numbers": {**_largest(peaks), **kind.save(model, Path(spec["adapter"]))},
            "facts": facts,
            "peaks": peaks,
            # the log, which may hold what strict JSON does not, is in the file of the steps
            "trained": {**vars(trained), "log": []},
        }
        write_json(folder / OUTCOME, outcome)
    # none leaves while another may still speak to it
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def _by_trl(cell: Cell) -> Cell:
    """``cell`` trained by TRL: the harness's own engine knows one device alone."""
    keys = {
        "engine": "trl",
        # the trainer's default for an adapter looks for unused weights at every step; where there
        # are any, this stops with an error, and never trains on
        "ddp_find_unused_parameters": False,
    }
    return replace(cell, training={**cell.training, **keys})


def _telling(place: Path) -> TellStep:
    """Writes each record of the log where the worker reads it."""
    file = place.open("w", encoding="utf-8")

    def tell(record: Mapping[str, float]) -> None:
        file.write(json.dumps(dict(record)) + "\n")
        file.flush()

    return tell


def _of_all(value: object) -> list[Any]:
    """``value`` of every process, by rank."""
    found: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(found, value)
    return found


def _largest(peaks: list[dict[str, float]]) -> dict[str, float]:
    """The peak of the device that needed most: that one has to fit."""
    names = {name for values in peaks for name in values}
    return {name: max(values.get(name, 0.0) for values in peaks) for name in sorted(names)}


def _digest(model: PreTrainedModel) -> str:
    """A hash of the trained weights."""
    digest = hashlib.sha256()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            digest.update(name.encode())
            digest.update(parameter.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()
