"""One answer, token by token: by the way that decodes batches, so that the text is the same.

Work is done only while the consumer asks for the next token. Two answers can so be decoded in
turns, and the time of each is its own.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from threading import Semaphore, Thread
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase, set_seed
from transformers.generation.streamers import BaseStreamer

from harness.backends.base import Piece
from harness.backends.hf.decoding.masks import padded
from harness.backends.hf.decoding.ways import ByEngine, ByGenerate, way_of
from harness.backends.hf.models.limits import check_context
from harness.suite.schema import Options

UNFINISHED = "\ufffd"
"""What the tokenizer writes for a character whose bytes have not all come yet."""


def stream(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: list[int],
    *,
    options: Options,
    seed: int = 0,
) -> Iterator[Piece]:
    """The answer to ``prompt``, growing; its last piece is what `decode.decode` gives.

    Raises:
        HarnessError: prompt and answer do not fit the context, or the model is an encoder.
    """
    new = int(options.get("max_new_tokens") or 1)
    check_context(model, [len(prompt) + new], "the question with its answer")
    way = way_of(model, tokenizer, options, [prompt])
    ids: list[int] = []
    with closing(_tokens(way, prompt, seed)) as tokens:
        for some in tokens:
            ids += some
            answer = way.answer(ids)
            yield Piece(answer.text.rstrip(UNFINISHED), answer.new_tokens)
    answer = way.answer(ids)
    yield Piece(answer.text, answer.new_tokens, answer.finish_reason)


def _tokens(way: ByEngine | ByGenerate, prompt: list[int], seed: int) -> Generator[list[int]]:
    """New tokens as they come."""
    if isinstance(way, ByEngine):
        options = way.config
        steps = way.engine.stream(prompt, way.max_new_tokens, options.min_new_tokens or 0)
        with closing(steps):
            yield from ([token] for token in steps)
        return
    with closing(_Generation(way, prompt)) as generation:
        random = _Random(seed)
        while True:
            with random.own():
                some = generation.more()
            if some is None:
                return
            yield some


class _Random:
    """Random numbers of one answer: what another one draws meanwhile does not change them."""

    def __init__(self, seed: int) -> None:
        with self._kept():
            set_seed(seed)
            self._state = self._now()

    @contextmanager
    def own(self) -> Iterator[None]:
        """Draw from where this answer stopped drawing."""
        with self._kept():
            self._set(self._state)
            yield
            self._state = self._now()

    @contextmanager
    def _kept(self) -> Iterator[None]:
        before = self._now()
        try:
            yield
        finally:
            self._set(before)

    @staticmethod
    def _now() -> tuple[Any, Any]:
        cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
        return torch.get_rng_state(), cuda

    @staticmethod
    def _set(state: tuple[Any, Any]) -> None:
        torch.set_rng_state(state[0])
        if state[1] is not None:
            torch.cuda.set_rng_state(state[1])


class _Closed(Exception):
    """The consumer wants no further token."""


class _Generation(BaseStreamer):  # type: ignore[misc]
    """`generate` in a thread that goes on only while somebody waits in `more`."""

    def __init__(self, way: ByGenerate, prompt: list[int]) -> None:
        self._way, self._prompt = way, prompt
        self._asked, self._given = Semaphore(0), Semaphore(0)
        self._some: list[int] | None = None
        self._error: BaseException | None = None
        self._closed = self._begun = False
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def more(self) -> list[int] | None:
        """The next tokens; None where there are no more."""
        self._asked.release()
        self._given.acquire()
        if self._error is not None:
            raise self._error
        return self._some

    def close(self) -> None:
        """Stop at the next token."""
        self._closed = True
        self._asked.release()
        self._thread.join()

    def put(self, value: torch.Tensor) -> None:
        """Called by `generate`: with the prompt first, then with each new token."""
        if not self._begun:
            self._begun = True
            return
        self._hand_over(value.flatten().tolist())

    def end(self) -> None:
        """Called by `generate` when it is done."""

    def _hand_over(self, some: list[int] | None) -> None:
        self._some = some
        self._given.release()
        self._asked.acquire()
        if self._closed:
            raise _Closed

    def _run(self) -> None:
        self._asked.acquire()
        if self._closed:
            return
        try:
            whole = self._generated()
            if whole:
                self._hand_over(whole)
        except _Closed:
            return
        except BaseException as error:
            self._error = error
        self._some = None
        self._given.release()

    @torch.inference_mode()
    def _generated(self) -> list[int]:
        """Let `generate` run; the tokens that it did not stream."""
        way = self._way
        ids, there = padded([self._prompt], way.tokenizer.pad_token_id, way.model.device)
        more: dict[str, Any] = {"tokenizer": way.tokenizer} if way.config.stop_strings else {}
        streams = (way.config.num_beams or 1) == 1  # beams may take back what they have shown
        output = way.model.generate(
            input_ids=ids, attention_mask=there.long(), generation_config=way.config,
            **more, **({"streamer": self} if streams else {}),
        )  # fmt: skip
        return [] if streams else [int(token) for token in output[0, ids.shape[1] :]]
