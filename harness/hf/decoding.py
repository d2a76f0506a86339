"""Prompts to answers: length-sorted, left-padded batches through `generate`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import GenerationConfig, set_seed

from harness.suite import Options


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
    prompts and ``batch_size`` alone.
    """
    config = _config(tokenizer, options)
    order = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), i))
    answers: dict[int, Answer] = {}
    set_seed(seed)
    started = time.perf_counter()
    for first in range(0, len(order), batch_size):
        chunk = order[first : first + batch_size]
        batch_started = time.perf_counter()
        found = _batch(model, tokenizer, [prompts[i] for i in chunk], config)
        taken = time.perf_counter() - batch_started
        found = [replace(a, batch_seconds=taken, batch_examples=len(chunk)) for a in found]
        answers.update(zip(chunk, found, strict=True))
    seconds = time.perf_counter() - started
    ordered = [answers[i] for i in range(len(prompts))]
    return Decoded(ordered, seconds, sum(answer.new_tokens for answer in ordered))


def _config(tokenizer: Any, options: Options) -> GenerationConfig:
    return GenerationConfig(
        **{
            "pad_token_id": tokenizer.pad_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            **options,
        }
    )


@torch.inference_mode()
def _batch(
    model: Any, tokenizer: Any, prompts: list[list[int]], config: GenerationConfig
) -> list[Answer]:
    width = max(map(len, prompts))
    pad = tokenizer.pad_token_id
    ids = torch.tensor([[pad] * (width - len(p)) + p for p in prompts], device=model.device)
    mask = torch.tensor(
        [[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=model.device
    )
    stop = {"tokenizer": tokenizer} if config.stop_strings else {}
    output = model.generate(input_ids=ids, attention_mask=mask, generation_config=config, **stop)
    return [_answer(tokenizer, row[width:].tolist(), config) for row in output]


def _answer(tokenizer: Any, ids: list[int], config: GenerationConfig) -> Answer:
    ends = config.eos_token_id
    ends = set(ends) if isinstance(ends, list) else {ends}
    stop_at = next((i for i, token in enumerate(ids) if token in ends), None)
    used = ids if stop_at is None else ids[: stop_at + 1]
    if stop_at is None:
        while used and used[-1] == tokenizer.pad_token_id:  # rows that ended on a stop string
            used = used[:-1]
    text = tokenizer.decode(used, skip_special_tokens=True)
    stopped = stop_at is not None or len(used) < len(ids)
    for stop in config.stop_strings or []:
        if stop in text:
            text, stopped = text.split(stop)[0], True
    return Answer(text.strip(), len(used), "stop" if stopped else "length")
