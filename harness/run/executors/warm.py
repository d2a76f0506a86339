"""What the fork server imports before the first cell: the heavy libraries, in silence.

`light`, which it imports first, closes the server's own output, so that the libraries' advice does
not reach the terminal. A worker opens its log before it runs; an import that fails here fails there
again, with its traceback.

The server must not touch CUDA, since a CUDA context does not survive a fork. bitsandbytes asks
for the compute capability when it is imported, which would create one: here NVML answers.

Whatever a cell would import or build on its way is there before the fork as well, and then the
garbage collector is made to leave all of it alone: a full collection in a worker would otherwise
walk every object of the libraries, a third of a second each time, and copy their pages. The server
itself never collects, for the same third of a second; pages of garbage are shared like the others.
"""

from __future__ import annotations

import gc
import os
from importlib import import_module
from typing import Any

from harness.collector import uncollected
from harness.errors import HarnessError
from harness.extras import is_installed
from harness.plan.backends import TRAINING
from harness.plan.machine import query_gpus
from harness.run.executors import light  # noqa: F401

ON_THE_WAY = (
    "harness.backends.hf.lazy_compile",
    "harness.backends.hf.backend",
    "harness.datasets.ru_calculations",
    "harness.statistics",
    "peft.tuners.lora.bnb",
    "rapidfuzz.process",
    "transformers.integrations.bitsandbytes",
    "transformers.models.llama.modeling_llama",
    "transformers.models.mistral.modeling_mistral",
    "transformers.models.qwen2.modeling_qwen2",
    "transformers.models.qwen2.tokenization_qwen2",
)
"""Modules that cells import only when they need them."""
MISSED: list[str] = []
"""What could not be imported here, with the reason. A worker writes it to its ``cell.log``: cells
still run, but each one pays for the import itself."""


def _capabilities() -> list[tuple[int, int]]:
    """The compute capability of each visible CUDA device, as NVML knows it."""
    try:
        lines = query_gpus("compute_cap")
    except HarnessError as error:  # then an import may touch CUDA, and workers start afresh
        MISSED.append(f"compute capability: {error.what}")
        lines = []
    pairs = [line.partition(".") for line in lines]
    return [(int(major), int(minor)) for major, _, minor in pairs]


def _import_without_cuda() -> None:
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"
    import torch

    asked = torch.cuda.get_device_capability
    known = _capabilities()

    def from_nvml(_: Any = None) -> tuple[int, int]:
        return min(known)

    if known:
        torch.cuda.get_device_capability = from_nvml
    try:
        _import_what_comes_later()
    finally:
        torch.cuda.get_device_capability = asked


def _import_what_comes_later() -> None:
    """Modules that a cell would import, and the table of renamed weights it would build."""
    for name in ON_THE_WAY:
        try:
            import_module(name)
        except ImportError as error:  # a worker that needs it says so, with its traceback
            MISSED.append(f"{name}: {error}")
    try:
        from transformers.conversion_mapping import get_checkpoint_conversion_mapping

        get_checkpoint_conversion_mapping("llama")  # fills the table that all models share
    except Exception as error:  # a private function: any release may change it
        MISSED.append(f"transformers.conversion_mapping: {error}")


with uncollected():
    if all(map(is_installed, TRAINING)):
        _import_without_cuda()
    gc.freeze()  # here, as the collector would begin with everything once it may
