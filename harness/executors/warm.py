"""What the fork server imports before the first cell: the heavy libraries, in silence.

Importing this module closes the server's own output, so that the libraries' advice does not
reach the terminal. A worker opens its log before it runs; an import that fails here fails there
again, with its traceback.

The server must not touch CUDA, since a CUDA context does not survive a fork. bitsandbytes asks
for the compute capability when it is imported, which would create one: here NVML answers.
"""

from __future__ import annotations

import os
from typing import Any

from harness.environment import query_gpus


def _silence() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _capabilities() -> list[tuple[int, int]]:
    """The compute capability of each visible CUDA device, as NVML knows it."""
    pairs = [line.partition(".") for line in query_gpus("compute_cap")]
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
        import harness.hf.backend
        import harness.worker  # noqa: F401
    finally:
        torch.cuda.get_device_capability = asked


_silence()
_import_without_cuda()
