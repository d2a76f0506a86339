"""Steps captured in CUDA graphs: the host launches one graph in place of thousands of kernels.

One graph a bucket holds the forward and backward passes of a batch padded to its size; one more
holds clipping, the optimizer and clearing the gradients. What changes from step to step (ids,
positions, places, targets, bounds of the rows, the number of tokens, learning rates) lies in fixed
buffers. Capturing changes nothing: weights, optimizer state and random numbers are as before.

What a capture needs, each learned the hard way: gradients at fixed addresses, so they are cleared
and never dropped; an optimizer with `capturable` and its learning rate in a tensor; autocast
without its cache; no copy from the device; a warm-up on the stream of the capture.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import torch

from harness.backends.hf.encoding import IGNORED
from harness.backends.hf.training.buckets import ROUND_TO, size_for
from harness.backends.hf.training.eager import EagerSteps
from harness.backends.hf.training.flat_attention import Segments
from harness.backends.hf.training.flat_batch import FlatBatch, Row, flat_batch

WARM_UPS = 1
"""Passes before a capture: libraries make their workspaces and pick their kernels in the first."""
LOSS_APART = {False: 0.02, True: 0.2}
"""Nats by which a replay may differ from the same pass before it, without and with dropout, whose
masks differ. Rounding alone gave at most 0.001."""


@cache
def _stream_of(device: int) -> torch.cuda.Stream:
    """One for all captures on ``device``: cuBLAS keeps 64 MiB for each stream that it has seen."""
    return torch.cuda.Stream(device)


class CannotCapture(RuntimeError):
    """Why a step of this model cannot be captured."""


class CannotFuse(Exception):
    """Why the model's small operations cannot be fused, found when a step was captured."""


def from_triton(error: BaseException) -> bool:
    """Whether Triton raised ``error``: its own errors are no `RuntimeError`."""
    return any(kind.__module__.split(".")[0] == "triton" for kind in type(error).__mro__)


@dataclass
class _Graph:
    """A captured pass over batches of one size."""

    buffer: torch.Tensor
    """All that changes, as whole numbers one after the other: one copy a step fills it."""
    batch: FlatBatch
    """Parts of the buffer, as the model takes them."""
    answers: int
    graph: torch.cuda.CUDAGraph | None = None
    numbers: torch.Tensor | None = None


@dataclass
class CapturedSteps:
    """The same steps as `EagerSteps`, captured."""

    eager: EagerSteps
    rows: int
    """The most rows of a batch."""
    longest: int
    """The length of the longest row."""
    captures_update: bool
    """Whether the optimizer can be captured too."""
    dropout: bool
    """Whether any layer drops out."""
    seconds: float = 0.0
    """Spent in capturing."""
    _graphs: dict[int, _Graph] = field(default_factory=dict)
    _update: torch.cuda.CUDAGraph | None = None
    _norm: torch.Tensor | None = None
    _rates: list[torch.Tensor] = field(default_factory=list)
    _stream: torch.cuda.Stream = field(
        default_factory=lambda: _stream_of(torch.cuda.current_device())
    )

    def capture(self, samples: Mapping[int, Sequence[Sequence[Row]]]) -> None:
        """Capture a step for each size of ``samples``, the batches that it will serve.

        Raises:
            CannotCapture: an operation of the model cannot be captured, or a replay differs.
            CannotFuse: a kernel of ours does not compile, or needs more than the device has.
        """
        started = time.monotonic()
        random = torch.cuda.get_rng_state()
        try:
            self._prepare()
            if self.captures_update:
                self._warm_update()
            pool, losses = None, dict[int, torch.Tensor]()
            # the largest first, here and below: the smaller fit into its memory
            descending = sorted(samples, reverse=True)
            for size in descending:
                self._graphs[size] = self._buffers(size, samples[size])
                losses[size] = self._warm_up(self._graphs[size], samples[size][0])
            # release the warm-ups' cache, or it stays reserved beside the graphs' pool
            torch.cuda.empty_cache()
            for size in descending:
                pool = self._captured(self._graphs[size], losses[size], pool)
            if self.captures_update:
                self._capture_update(pool)
            self._clear()
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            if not isinstance(error, RuntimeError) and not from_triton(error):
                raise
            torch.cuda.synchronize()
            line = [*str(error).splitlines(), ""][0]
            if from_triton(error):  # an eager step would launch the same kernel
                raise CannotFuse(f"{type(error).__name__}: {line[:160]}") from error
            raise CannotCapture(f"a step cannot be captured: {line[:160]}") from error
        finally:
            torch.cuda.set_rng_state(random)
        self.seconds = time.monotonic() - started

    def describe(self) -> dict[str, object]:
        """The sizes and what capturing them took, for the result."""
        return {
            "captured": True,
            **self.eager.fused.describe(),
            "captured_sizes": sorted(self._graphs),
            "capture_seconds": round(self.seconds, 3),
        }

    def learn(self, rows: Sequence[Row], count: int) -> torch.Tensor:
        """Add the gradients of ``rows``."""
        graph = self._graphs[size_for(sorted(self._graphs), sum(len(row.ids) for row in rows))]
        self._fill(graph, rows, count)
        assert graph.graph is not None
        assert graph.numbers is not None
        graph.graph.replay()
        return graph.numbers

    def update(self, rates: Sequence[float]) -> torch.Tensor:
        """Take a step of the optimizer."""
        if self._update is None:
            return self._update_eagerly(rates)
        for tensor, rate in zip(self._rates, rates, strict=True):
            tensor.fill_(rate)
        self._update.replay()
        assert self._norm is not None
        return self._norm

    def _prepare(self) -> None:
        for parameter in self.eager.trained:
            parameter.grad = torch.zeros_like(parameter)
        if self.captures_update:
            for group in self.eager.optimizer.param_groups:
                group["lr"] = torch.zeros((), device=self.eager.trained[0].device)
                self._rates.append(group["lr"])

    def _clear(self) -> None:
        torch._foreach_zero_([p.grad for p in self.eager.trained])

    def _buffers(self, size: int, batches: Sequence[Sequence[Row]]) -> _Graph:
        most = max(1, *(sum(row.learned for row in rows) for rows in batches))
        answers = min(size, -(-most // ROUND_TO) * ROUND_TO)
        least = min(sum(len(row.ids) for row in rows) for rows in batches)
        lengths = [size, size, answers, answers, self.rows + 2, 1]
        buffer = torch.zeros(sum(lengths), dtype=torch.long, device=self.eager.model.device)
        ids, positions, at, targets, bounds, _ = buffer.split(lengths)
        # the last segment takes the padding, which may be longer than any row
        segments = Segments(
            (), bounds, max(self.longest, size - least), padding=True, longest_row=self.longest
        )
        batch = FlatBatch(ids[None], positions[None], at, targets, segments)
        return _Graph(buffer, batch, answers)

    def _fill(self, graph: _Graph, rows: Sequence[Row], count: int) -> None:
        """Copy ``rows``, padded, to the buffer; the host does not wait."""
        flat = flat_batch(rows, torch.device("cpu"))
        size, answers = graph.batch.ids.shape[1], graph.answers
        used = flat.ids.shape[1]
        free = torch.ones(size, dtype=torch.bool)
        free[flat.at] = False
        # padding of the answers looks at places of its own: many gradients of one place are slow
        spare = free.nonzero().flatten()[: answers - len(flat.at)]
        pinned = graph.buffer.is_cuda
        whole = torch.zeros(len(graph.buffer), dtype=torch.long, pin_memory=pinned)
        ids, positions, at, targets, bounds, last = whole.split(
            [size, size, answers, answers, self.rows + 2, 1]
        )
        ids[:used], positions[:used] = flat.ids[0], flat.positions[0]
        at.copy_(torch.cat([flat.at, spare]))
        targets.fill_(IGNORED)
        targets[: len(flat.targets)] = flat.targets
        bounds.fill_(used)
        bounds[: len(rows) + 1] = torch.tensor(flat.segments.bounds)
        bounds[-1] = size
        last.fill_(count)
        graph.buffer.copy_(whole, non_blocking=True)

    def _pass(self, graph: _Graph) -> torch.Tensor:
        ids, positions, at, targets, segments = graph.batch
        assert segments.cumulative is not None
        inside = replace(segments, cumulative=segments.cumulative.to(torch.int32))
        if not ids.is_cuda:  # where tests compare a padded pass with one that is not
            inside.bounds = tuple(segments.cumulative.tolist())
        batch = FlatBatch(ids, positions, at, targets, inside)
        return self.eager.run(batch, graph.buffer[-1].float().reciprocal())

    def _warm_up(self, graph: _Graph, rows: Sequence[Row]) -> torch.Tensor:
        """Run the pass of ``graph`` on ``rows``; their loss."""
        self._fill(graph, rows, max(1, self.eager.objective.count(self.eager.model, [rows])))
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            for _ in range(WARM_UPS):
                numbers = self._pass(graph)
        torch.cuda.current_stream().wait_stream(self._stream)
        torch.cuda.synchronize()
        return numbers[0]

    def _captured(self, graph: _Graph, wanted: torch.Tensor, pool: object) -> object:
        """Capture the pass of ``graph``; the pool of memory that further ones share."""
        captured = torch.cuda.CUDAGraph()
        with torch.cuda.graph(captured, pool=pool, stream=self._stream):
            graph.numbers = self._pass(graph)
        graph.graph = captured
        captured.replay()
        away = float((graph.numbers[0] - wanted).abs())
        if not away <= LOSS_APART[self.dropout]:  # NaN counts as away
            raise CannotCapture(f"a replay's loss is {away:.2g} nats off")
        return pool or captured.pool()

    def _warm_update(self) -> None:
        """Make an update; at a learning rate of 0 it changes no weight.

        Before the passes: the optimizer makes its state here, and the memory peak, which a replay
        does not raise, is to be that of a pass with the state beside it.
        """
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            self._step()
        torch.cuda.current_stream().wait_stream(self._stream)
        torch.cuda.synchronize()

    def _capture_update(self, pool: object) -> None:
        """Capture the update, and put the optimizer's state back to nothing."""
        captured = torch.cuda.CUDAGraph()
        with torch.cuda.graph(captured, pool=pool, stream=self._stream):
            self._norm = self._step()
        self._update = captured
        for state in self.eager.optimizer.state.values():
            for value in state.values():
                value.zero_()

    def _step(self) -> torch.Tensor:
        norm: torch.Tensor = torch.nn.utils.clip_grad_norm_(
            self.eager.trained, self.eager.limit, foreach=True
        )
        self.eager.optimizer.step()
        self._clear()
        return norm

    def _update_eagerly(self, rates: Sequence[float]) -> torch.Tensor:
        for group, rate in zip(self.eager.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        return self._step()
