"""Prompts to answers, in length-sorted batches, by the way of decoding that `decoding.ways` chose.

`decoding.ways` chooses the way: the engine, or `generate` in left-padded batches, in batches of
one length, or one prompt at a time. A batch that does not fit in memory is halved.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase, set_seed

from harness.backends.hf.decoding.agreement import checks_of
from harness.backends.hf.decoding.copies import NO_MEMORY, Copies, copies_for
from harness.backends.hf.decoding.fitting import fitting_batch
from harness.backends.hf.decoding.ways import ByEngine, ByGenerate, DecodedAnswer, way_of
from harness.backends.hf.models.limits import check_context
from harness.suite.schema import Options


@dataclass(frozen=True)
class Decoded:
    """Answers in the order of the prompts, and the time they took."""

    answers: list[DecodedAnswer]
    seconds: float
    new_tokens: int
    how: dict[str, object] = field(default_factory=dict)
    """`engine` (`cuda graph`, `eager`, `generate`), why not a faster one, batch size, halvings."""

    @property
    def engine(self) -> str:
        """What decoded."""
        return str(self.how["engine"])

    @property
    def cache_mib(self) -> float | None:
        """The size of the key-value cache; None where it is not known."""
        size = self.how.get("kv_cache_mib")
        return size if isinstance(size, int | float) else None


def decode(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[list[int]],
    *,
    options: Options,
    batch_size: int,
    seed: int = 0,
    copies: bool = False,
) -> Decoded:
    """The answer to each prompt; greedy unless ``options`` say `do_sample`.

    Batches are formed by prompt length, longest first, so their composition depends on the
    prompts and the batch size alone. With ``copies`` packed weights may be unpacked once for all
    of them; without, what is decoded is what is served.

    Raises:
        HarnessError: a prompt and its answer do not fit the context, or the model is an encoder.
    """
    longest = max(map(len, prompts), default=0)
    new = int(options.get("max_new_tokens") or 1)
    check_context(model, (len(prompt) + new for prompt in prompts), "prompts with their answers")
    way = way_of(model, tokenizer, options, prompts)
    length = longest + way.max_new_tokens
    size = fitting_batch(model, length, batch_size)
    set_seed(seed)
    with copies_for(way, min(size, len(prompts)), wanted=copies) as made:
        found = _in_batches(way, prompts, size, made)
        how = {**way.describe(), **made.describe(), **found.how}
    checks_of(model).decoded = how
    return replace(found, how=how)


def _in_batches(
    way: ByEngine | ByGenerate, prompts: Sequence[list[int]], size: int, copies: Copies
) -> Decoded:
    """The answers, the longest prompts first, in batches of ``size`` or of what fits in memory."""
    order = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), i))
    answers: dict[int, DecodedAnswer] = {}
    halvings = 0
    started = time.perf_counter()
    while order:
        chunk = order[: way.fitting([len(prompts[i]) for i in order[:size]])]
        began = time.perf_counter()
        try:
            found = way.batch([prompts[i] for i in chunk])
        except torch.OutOfMemoryError:
            if copies.release(NO_MEMORY):
                continue
            if len(chunk) == 1:
                raise
            halvings, size = halvings + 1, len(chunk) // 2
            torch.cuda.empty_cache()
            continue
        taken = time.perf_counter() - began
        found = [replace(a, batch_seconds=taken, batch_examples=len(chunk)) for a in found]
        answers.update(zip(chunk, found, strict=True))
        order = order[len(chunk) :]
    seconds = time.perf_counter() - started
    ordered = [answers[i] for i in range(len(prompts))]
    how: dict[str, object] = {"batch_size": size, "out_of_memory_halvings": halvings}
    return Decoded(ordered, seconds, sum(answer.new_tokens for answer in ordered), how)


def decoding_facts(model: PreTrainedModel) -> dict[str, object]:
    """How ``model`` decoded and scored last, and what was found when its ways were tried."""
    checks = checks_of(model)
    away = {way: found for way, found in checks.verdicts.items() if found}
    tried = {"differs": away} if away else {}
    scored = {"likelihoods": checks.scored} if checks.scored else {}
    return {**checks.decoded, **scored, **tried, "checked": sorted(checks.verdicts)}


def fixed_length(new_tokens: int) -> dict[str, object]:
    """Generation options of greedy answers of ``new_tokens`` tokens, whatever ends them."""
    return {"max_new_tokens": new_tokens, "min_new_tokens": new_tokens, "do_sample": False}
