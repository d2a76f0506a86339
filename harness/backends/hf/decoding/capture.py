"""A decode step captured in a CUDA graph: its launches are recorded once and replayed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch

from harness.backends.hf.decoding.cache import State


def captured(step: Callable[[], None], state: State) -> torch.cuda.CUDAGraph | str:
    """Return a graph of one ``step``, or why it cannot be captured; ``state`` is as it was.

    The step before a capture, for lazily made workspaces, is taken back: it writes what the
    first replay writes again.
    """
    before = [tensor.clone() for tensor in state.moving()]
    try:
        stream = side_stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            step()
            state.load(before)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            step()
    except torch.OutOfMemoryError:
        raise  # the caller takes a smaller batch
    except RuntimeError as error:
        torch.cuda.synchronize()
        state.load(before)
        return f"a step cannot be captured: {str(error).splitlines()[0][:120]}"
    state.load(before)
    return graph


@cache
def side_stream() -> torch.cuda.Stream:
    """One for all captures: a stream keeps some 32 MiB of cuBLAS's workspace for itself."""
    return torch.cuda.Stream()
