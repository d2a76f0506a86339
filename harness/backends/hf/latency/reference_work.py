"""A fixed piece of work, timed between the prompts: what a gate compares speeds as multiples of.

A clock says as much of the machine's other load as of the model. The reference asks the machine for
what decoding a token with a small model asks for, so that load slows both alike: the same kinds of
operations, as short, on as many threads. It is written in plain torch, so that a change of this
project's or another library's decoding does not change it as well.
"""

from __future__ import annotations

import time

import torch
from torch.nn.functional import rms_norm, scaled_dot_product_attention, silu

from harness.backends.hf.counters.memory import synchronize

LAYERS, WIDTH, INNER, VOCABULARY = 5, 256, 1024, 4096
HEADS, POSITIONS = 4, 64
PASSES = 4


class Reference:
    """``PASSES`` passes of one token through a decoder of fixed size and constant weights."""

    def __init__(self, device: torch.device) -> None:
        def weight(*shape: int) -> torch.Tensor:
            return torch.full(shape, 0.01, device=device)

        self._start, self._norm = weight(1, WIDTH), weight(WIDTH)
        self._cache = weight(1, HEADS, POSITIONS, WIDTH // HEADS)
        self._head = weight(WIDTH, VOCABULARY)
        self._layers = [
            (weight(WIDTH, 3 * WIDTH), weight(WIDTH, WIDTH), weight(WIDTH, INNER),
             weight(INNER, WIDTH))
            for _ in range(LAYERS)
        ]  # fmt: skip
        self.seconds()  # the first call of a kernel loads it

    @torch.inference_mode()
    def seconds(self) -> float:
        """Wall seconds of the work, the device idle before and after."""
        synchronize()
        started = time.perf_counter()
        for _ in range(PASSES):
            self._token()
        synchronize()
        return time.perf_counter() - started

    def _token(self) -> torch.Tensor:
        x = self._start
        for qkv, out, up, down in self._layers:
            q, k, v = (self._normed(x) @ qkv).view(3, 1, HEADS, 1, WIDTH // HEADS)
            keys, values = torch.cat((self._cache, k), 2), torch.cat((self._cache, v), 2)
            x = x + scaled_dot_product_attention(q, keys, values).view(1, WIDTH) @ out
            x = x + silu(self._normed(x) @ up) @ down
        return (self._normed(x) @ self._head).argmax()

    def _normed(self, x: torch.Tensor) -> torch.Tensor:
        return rms_norm(x, (WIDTH,), self._norm)
