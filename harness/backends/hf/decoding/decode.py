"""Prompts to answers: length-sorted, left-padded batches through the engine, or `generate`.

Greedy decoding of a plain causal model goes through `decoding.engine`; sampling, beams,
penalties, stop strings and prompt learning go through `generate`, and the result says so. A batch
that does not fit in memory is halved.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from transformers import GenerationConfig, set_seed

from harness.backends.hf.decoding.engine import Engine, padded
from harness.suite.schema import Options

ENGINE_OPTIONS = frozenset(
    {"max_new_tokens", "min_new_tokens", "do_sample", "pad_token_id", "eos_token_id"}
)
"""Generation keys that the engine knows; any other goes through `generate`."""
MEMORY_SHARE = 0.6
"""Share of the free device memory that a batch may be planned to take."""


@dataclass(frozen=True)
class Answer:
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


@dataclass(frozen=True)
class Decoded:
    """Answers in the order of the prompts, and the time they took."""

    answers: list[Answer]
    seconds: float
    new_tokens: int
    how: dict[str, Any] = field(default_factory=dict)
    """`engine` (`cuda graph`, `eager`, `generate`), why not a faster one, batch size, halvings."""


def decode(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[list[int]],
    *,
    options: Options,
    batch_size: int,
    seed: int = 0,
) -> Decoded:
    """The answer to each prompt; greedy unless ``options`` say `do_sample`.

    Batches are formed by prompt length, longest first, so their composition depends on the
    prompts and the batch size alone.
    """
    config = _config(tokenizer, options)
    longest = max(map(len, prompts), default=0)
    ways = _way(model, tokenizer, config, options)
    order = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), i))
    size = fitting_batch(model, longest + config.max_new_tokens, batch_size)
    answers: dict[int, Answer] = {}
    halvings = 0
    set_seed(seed)
    started = time.perf_counter()
    while order:
        chunk = order[:size]
        began = time.perf_counter()
        try:
            found = ways.batch([prompts[i] for i in chunk])
        except torch.OutOfMemoryError:
            if size == 1:
                raise
            halvings, size = halvings + 1, max(1, min(size, len(chunk)) // 2)
            torch.cuda.empty_cache()
            continue
        taken = time.perf_counter() - began
        found = [replace(a, batch_seconds=taken, batch_examples=len(chunk)) for a in found]
        answers.update(zip(chunk, found, strict=True))
        order = order[size:]
    seconds = time.perf_counter() - started
    ordered = [answers[i] for i in range(len(prompts))]
    how = {**ways.told(), "batch_size": size, "out_of_memory_halvings": halvings}
    return Decoded(ordered, seconds, sum(answer.new_tokens for answer in ordered), how)


def fixed_length(new_tokens: int) -> dict[str, Any]:
    """Generation options of greedy answers of ``new_tokens`` tokens, whatever ends them."""
    return {"max_new_tokens": new_tokens, "min_new_tokens": new_tokens, "do_sample": False}


def engine_for(model: Any, tokenizer: Any, options: Options) -> Engine | None:
    """The engine for these options; None where `generate` must do."""
    way = _way(model, tokenizer, _config(tokenizer, options), options)
    return way.engine if isinstance(way, _ByEngine) else None


def fitting_batch(model: Any, length: int, wanted: int) -> int:
    """``wanted`` rows, or the fewer whose cache and logits fit in the device's free memory."""
    if model.device.type != "cuda":
        return wanted
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    cache = 2 * config.num_hidden_layers * heads * size * length * 2
    row = 2 * cache + 8 * config.vocab_size + 64 * length * config.hidden_size
    free, _ = torch.cuda.mem_get_info()
    free += torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
    return max(1, min(wanted, int(MEMORY_SHARE * free / row)))


def _config(tokenizer: Any, options: Options) -> GenerationConfig:
    return GenerationConfig(
        **{
            "pad_token_id": tokenizer.pad_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            **options,
        }
    )


def _ends(config: GenerationConfig) -> list[int]:
    ends = config.eos_token_id
    return list(ends) if isinstance(ends, list) else [ends]


def _way(
    model: Any, tokenizer: Any, config: GenerationConfig, options: Options
) -> _ByEngine | _ByGenerate:
    reason = _why_generate(model, config, options)
    if reason:
        return _ByGenerate(model, tokenizer, config, reason)
    why_eager = _why_eager(model)
    capture = model.device.type == "cuda" and why_eager is None
    engine = Engine(model, config.pad_token_id, _ends(config), capture, why_eager)
    return _ByEngine(engine, tokenizer, config)


def _why_generate(model: Any, config: GenerationConfig, options: Options) -> str | None:
    """Why the engine cannot decode this; None if it can."""
    if config.do_sample:
        return "sampling"
    extra = sorted(k for k, v in options.items() if k not in ENGINE_OPTIONS and v is not None)
    if extra:
        return f"generation keys {', '.join(extra)}"
    peft = getattr(model, "active_peft_config", None)
    if peft is not None and peft.is_prompt_learning:
        return "prompt learning"
    settings = model.config.get_text_config()
    kinds = set(getattr(settings, "layer_types", None) or ["full_attention"])
    if kinds - {"full_attention", "sliding_attention"}:
        return f"layers of kind {', '.join(sorted(kinds))}"
    if getattr(settings, "is_encoder_decoder", False):
        return "an encoder and a decoder"
    return None


def _why_eager(model: Any) -> str | None:
    """Why a step cannot be captured in a graph, as far as is known before trying."""
    for module in model.modules():
        state = getattr(module, "state", None)
        if type(module).__name__ == "Linear8bitLt" and getattr(state, "threshold", 0) > 0:
            return "int8 looks for outliers on the host (llm_int8_threshold above 0)"
    return None


@dataclass(frozen=True)
class _ByEngine:
    engine: Engine
    tokenizer: Any
    config: GenerationConfig

    def batch(self, prompts: list[list[int]]) -> list[Answer]:
        rows = self.engine.decode(
            prompts, self.config.max_new_tokens, self.config.min_new_tokens or 0
        )
        ends = set(self.engine.ends)
        texts = [self.tokenizer.decode(row, skip_special_tokens=True).strip() for row in rows]
        return [
            Answer(text, len(row), "stop" if row and row[-1] in ends else "length")
            for text, row in zip(texts, rows, strict=True)
        ]

    def told(self) -> dict[str, Any]:
        return self.engine.told()


@dataclass(frozen=True)
class _ByGenerate:
    model: Any
    tokenizer: Any
    config: GenerationConfig
    reason: str

    @torch.inference_mode()
    def batch(self, prompts: list[list[int]]) -> list[Answer]:
        ids, there = padded(prompts, self.tokenizer.pad_token_id, self.model.device)
        stop = {"tokenizer": self.tokenizer} if self.config.stop_strings else {}
        output = self.model.generate(
            input_ids=ids, attention_mask=there.long(), generation_config=self.config, **stop
        )
        return [self._answer(row[ids.shape[1] :].tolist()) for row in output]

    def _answer(self, ids: list[int]) -> Answer:
        ends = set(_ends(self.config))
        stop_at = next((i for i, token in enumerate(ids) if token in ends), None)
        used = ids if stop_at is None else ids[: stop_at + 1]
        if stop_at is None:
            while used and used[-1] == self.tokenizer.pad_token_id:  # ended on a stop string
                used = used[:-1]
        text = self.tokenizer.decode(used, skip_special_tokens=True)
        stopped = stop_at is not None or len(used) < len(ids)
        for stop in self.config.stop_strings or []:
            if stop in text:
                text, stopped = text.split(stop)[0], True
        return Answer(text.strip(), len(used), "stop" if stopped else "length")

    def told(self) -> dict[str, Any]:
        return {"engine": "generate", "reason": self.reason}
