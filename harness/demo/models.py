"""The loaded models of a page, two at most, and their answers to one question in turns."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import NamedTuple

from harness.backends.base import AnsweringBackend, Asking, Piece, StreamsAnswers
from harness.datasets.example import Example
from harness.demo.variants import check_own_adapter
from harness.errors import HarnessError, SkipCell
from harness.plan.cell import Cell, cell_of_record
from harness.results.result import CellResult
from harness.results.run import Run
from harness.run.answer import loaded_backend


class Answer(NamedTuple):
    """An answer so far, and the time that was spent on it alone."""

    text: str = ""
    new_tokens: int = 0
    finish_reason: str | None = None
    """None while it goes on."""
    first_seconds: float = 0.0
    """Until the first token."""
    seconds: float = 0.0
    """In all. While the other answer is decoded, this clock stands still."""

    @property
    def tokens_per_s(self) -> float | None:
        """Tokens a second after the first one; None for fewer than three."""
        later = self.seconds - self.first_seconds
        return (self.new_tokens - 1) / later if self.new_tokens > 2 and later > 0 else None


class Pair(NamedTuple):
    """Something of the first variant and of the second."""

    first: Answer = Answer()
    second: Answer = Answer()


@dataclass(frozen=True)
class Loaded:
    """A variant whose model is loaded, as its cell was evaluated."""

    cell: Cell
    backend: AnsweringBackend

    def pieces(self, example: Example) -> Iterator[Piece]:
        """The answer to ``example``, growing; in one piece where the backend cannot stream."""
        evaluation = self.cell.evaluation
        asking = Asking(evaluation.batch_size, evaluation.sampling_seed, likelihoods=False)
        if isinstance(self.backend, StreamsAnswers):
            yield from self.backend.stream(example, asking)
            return
        (record,) = self.backend.predict([example], asking).records
        text = record.get("predicted_label") or record["prediction"]
        yield Piece(text, record.get("new_tokens") or 0, record.get("finish_reason") or "stop")


class Models:
    """The variants of a run that are loaded: those asked last, two at most."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._loaded: dict[str, Loaded] = {}

    def missing(self, *cells: CellResult) -> list[CellResult]:
        """Those of ``cells`` that would have to be loaded."""
        return [cell for cell in cells if cell.key not in self._loaded]

    def load(self, first: CellResult, second: CellResult) -> tuple[Loaded, Loaded]:
        """Both models; what else was loaded is let go first.

        Raises:
            HarnessError: a model cannot be loaded here, or its adapter is gone or another one.
        """
        if first.key == second.key:
            raise HarnessError("Choose two different variants.")
        kept = {key: each for key, each in self._loaded.items() if key in (first.key, second.key)}
        if len(kept) < len(self._loaded):
            self._loaded = kept
            gc.collect()  # a model has cycles: without this, three would be in memory
        missing = self.missing(first, second)
        for cell in missing:
            check_own_adapter(self._run, cell)  # both, before minutes go into loading one
        for cell in missing:
            self._loaded[cell.key] = self._load(cell)
        return self._loaded[first.key], self._loaded[second.key]

    def _load(self, result: CellResult) -> Loaded:
        cell, paths = cell_of_record(result.provenance.cell), self._run.paths(result)
        probe = Example(id="probe", prompt="What is a bond?", reference="")
        try:
            loaded = Loaded(cell, loaded_backend(cell, paths, probe))
        except SkipCell as error:
            raise HarnessError(f"{result.key} cannot run here: {error}") from None
        with _Timed(loaded, probe) as warming:
            warming.advance()  # decoding is tried out on first use: not on a question's time
        return loaded


def in_turns(first: Loaded, second: Loaded, example: Example) -> Iterator[Pair]:
    """Both answers to ``example`` as they grow, a token of each at a time."""
    with ExitStack() as stack:
        sides = [stack.enter_context(_Timed(each, example)) for each in (first, second)]
        while any(side.answer.finish_reason is None for side in sides):
            for side in sides:
                side.advance()
            yield Pair(*(side.answer for side in sides))


class _Timed:
    """One answer, with a clock that runs only while it is decoded."""

    def __init__(self, loaded: Loaded, example: Example) -> None:
        self._pieces = loaded.pieces(example)
        self.answer = Answer()

    def advance(self) -> None:
        """Decode one more token, unless the answer is complete."""
        before = self.answer
        if before.finish_reason is not None:
            return
        began = time.perf_counter()
        piece = next(self._pieces, None)
        seconds = before.seconds + time.perf_counter() - began
        if piece is None:  # a backend whose last piece does not say that it is the last
            self.answer = before._replace(finish_reason="stop")
            return
        first = before.first_seconds or seconds
        self.answer = Answer(*piece, first, seconds)

    def __enter__(self) -> _Timed:
        return self

    def __exit__(self, *_: object) -> None:
        close = getattr(self._pieces, "close", None)
        if close:
            close()
