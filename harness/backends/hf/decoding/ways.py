"""Ways of decoding, the fastest first, and the choice of one that is right for a model.

A way is used if it is on the allow-list (`decoding.evidence`) and if, on first use of the loaded
model, it agrees with one prompt at a time (`decoding.agreement`). Otherwise the next slower way is
tried, and the result records why.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile

import torch
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from harness.backends.hf.decoding.agreement import (
    TOKENS,
    Step,
    alone,
    check_causal,
    checks_of,
    disagreement,
    generated,
    rotated,
    sample_of,
    tolerance_of,
)
from harness.backends.hf.decoding.engine import Engine
from harness.backends.hf.decoding.evidence import engine_reason, padding_reason
from harness.backends.hf.decoding.masks import padded
from harness.backends.hf.decoding.mixed_int8 import uncapturable
from harness.backends.hf.stop_tokens import loaded_stops, without_end
from harness.suite.schema import Options


@dataclass(frozen=True)
class DecodedAnswer:
    """One decoded answer."""

    text: str
    new_tokens: int
    """Tokens generated, the end-of-text token included."""
    finish_reason: str
    """`stop` (end of text or a stop string) or `length`."""
    batch_seconds: float = 0.0
    """Wall-clock seconds of the batch that it was decoded in."""
    batch_examples: int = 1
    """Examples of that batch."""


def way_of(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    options: Options,
    prompts: Sequence[list[int]],
) -> ByEngine | ByGenerate:
    """Return the fastest way that is allowed and agrees on some of ``prompts``.

    Raises:
        HarnessError: the model is an encoder.
    """
    config = _config(model, tokenizer, options)
    trial = Trial(model, config.pad_token_id, sample_of(prompts) if prompts else [])
    reason = engine_reason(model, config, options)
    if reason is None:
        engine = engine_of(model, config)
        reason = trial.engine(engine)
        if reason is None:
            return ByEngine(engine, tokenizer, config, trial)
    unpadded = padding_reason(model) or trial.padded()
    if unpadded is None:
        return ByGenerate(model, tokenizer, config, reason, "padded")
    shape = "one length" if trial.one_length() is None else "one prompt"
    return ByGenerate(model, tokenizer, config, reason, shape, unpadded)


def engine_for(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    options: Options,
    prompts: Sequence[list[int]],
) -> Engine | None:
    """Return the engine if it is the way to decode these prompts; else None."""
    way = way_of(model, tokenizer, options, prompts)
    return way.engine if isinstance(way, ByEngine) else None


def engine_of(model: PreTrainedModel, config: GenerationConfig) -> Engine:
    """Return an engine for ``model``, with captured steps if that is possible."""
    reason = uncapturable(model)
    capture = model.device.type == "cuda" and reason is None
    return Engine(model, config.pad_token_id, _ends(config), capture, reason)


@dataclass(frozen=True)
class Trial:
    """Some prompts, decoded in several ways when a model is first used."""

    model: PreTrainedModel
    pad: int
    prompts: list[list[int]]

    def engine(self, engine: Engine, name: str = "engine") -> str | None:
        """How the engine's answers differ from one prompt at a time; None if they agree.

        What is found is kept as the verdict on ``name``.
        """

        def decode() -> list[Step]:
            logits = engine.first_logits(self.prompts)
            tokens = engine.decode(self.prompts, TOKENS)
            return [Step(made, row[None]) for made, row in zip(tokens, logits, strict=True)]

        return self._verdict(name, self.prompts, decode)

    @cached_property
    def _alone(self) -> list[Step]:
        """The prompts one at a time: several ways may be held against them."""
        return alone(self.model, self.prompts, self.pad)

    def padded(self) -> str | None:
        """How answers of left-padded batches differ; None if they agree."""
        return self._verdict("padded", self.prompts, lambda: self._batch(self.prompts))

    def one_length(self) -> str | None:
        """How answers of batches of one length differ; None if they agree."""
        rows = rotated(self.prompts) if self.prompts else []
        return self._verdict("one length", rows, lambda: self._batch(rows))

    def _batch(self, rows: list[list[int]]) -> list[Step]:
        ids, there = padded(rows, self.pad, self.model.device)
        found: list[Step] = generated(self.model, ids, there, self.pad)
        return found

    def _verdict(
        self, way: str, rows: list[list[int]], decode: Callable[[], list[Step]]
    ) -> str | None:
        if not rows:
            return None

        def ask() -> str | None:
            check_causal(self.model, rows[-1])
            wanted = self._alone if rows is self.prompts else alone(self.model, rows, self.pad)
            return disagreement(wanted, decode, tolerance_of(self.model))

        return checks_of(self.model).verdict(way, ask)


def _config(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, options: Options
) -> GenerationConfig:
    return GenerationConfig(
        **{
            "pad_token_id": tokenizer.pad_token_id,
            "eos_token_id": loaded_stops(model).ids or tokenizer.eos_token_id,
            **options,
        }
    )


def _ends(config: GenerationConfig) -> list[int]:
    ends = config.eos_token_id
    return list(ends) if isinstance(ends, list) else [ends]


@dataclass(frozen=True)
class ByEngine:
    """Left-padded batches through `decoding.engine`."""

    engine: Engine
    tokenizer: PreTrainedTokenizerBase
    config: GenerationConfig
    trial: Trial
    """Its agreement with one prompt at a time."""

    @property
    def max_new_tokens(self) -> int:
        """The most tokens of an answer."""
        return int(self.config.max_new_tokens)

    def fitting(self, lengths: Sequence[int]) -> int:
        """How many of the next prompts may share a batch."""
        return len(lengths)

    def batch(self, prompts: list[list[int]]) -> list[DecodedAnswer]:
        """The answers to ``prompts``."""
        rows = self.engine.decode(prompts, self.max_new_tokens, self.config.min_new_tokens or 0)
        return [self.answer(row) for row in rows]

    def answer(self, ids: list[int]) -> DecodedAnswer:
        """The answer that the new tokens ``ids`` are."""
        ends = set(self.engine.ends)
        text = self.tokenizer.decode(without_end(ids, ends), skip_special_tokens=True)
        stopped = bool(ids) and ids[-1] in ends
        return DecodedAnswer(text.strip(), len(ids), "stop" if stopped else "length")

    def describe(self) -> dict[str, object]:
        """How it was decoded, for the result."""
        return self.engine.describe()


@dataclass(frozen=True)
class ByGenerate:
    """Batches through transformers' `generate`."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    config: GenerationConfig
    reason: str
    """Why not the engine."""
    batches: str
    """`padded`, `one length` or `one prompt`."""
    batches_reason: str | None = None
    """Why not padded."""

    @property
    def max_new_tokens(self) -> int:
        """The most tokens of an answer."""
        return int(self.config.max_new_tokens)

    def fitting(self, lengths: Sequence[int]) -> int:
        """How many of the next prompts, of these lengths, may share a batch."""
        if self.batches == "padded":
            return len(lengths)
        same = sum(1 for _ in takewhile(lambda n: n == lengths[0], lengths))
        return same if self.batches == "one length" else 1

    @torch.inference_mode()
    def batch(self, prompts: list[list[int]]) -> list[DecodedAnswer]:
        """The answers to ``prompts``."""
        ids, there = padded(prompts, self.tokenizer.pad_token_id, self.model.device)
        stop = {"tokenizer": self.tokenizer} if self.config.stop_strings else {}
        output = self.model.generate(
            input_ids=ids, attention_mask=there.long(), generation_config=self.config, **stop
        )
        return [self.answer(row[ids.shape[1] :].tolist()) for row in output]

    def answer(self, ids: list[int]) -> DecodedAnswer:
        """The answer that the new tokens ``ids`` are, padding after their end left out."""
        ends = set(_ends(self.config))
        stop_at = next((i for i, token in enumerate(ids) if token in ends), None)
        used = ids if stop_at is None else ids[: stop_at + 1]
        if stop_at is None:
            # a row that ended on a stop string is filled with padding up to the longest row
            while used and used[-1] == self.tokenizer.pad_token_id:
                used = used[:-1]
        text = self.tokenizer.decode(without_end(used, ends), skip_special_tokens=True)
        stopped = stop_at is not None or len(used) < len(ids)
        for stop in self.config.stop_strings or []:
            if stop in text:
                text, stopped = text.split(stop)[0], True
        return DecodedAnswer(text.strip(), len(used), "stop" if stopped else "length")

    def describe(self) -> dict[str, object]:
        """How it was decoded, for the result."""
        found: dict[str, object] = {
            "engine": "generate",
            "reason": self.reason,
            "batches": self.batches,
        }
        if self.batches_reason:
            found["batches_reason"] = self.batches_reason
        return found
