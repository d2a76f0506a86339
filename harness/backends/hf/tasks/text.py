"""The text task: training rows, answers with their likelihood, and speed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.backends.base import known
from harness.backends.hf.counters.energy import energy
from harness.backends.hf.decoding.decode import decode, fixed_length
from harness.backends.hf.decoding.likelihood import score_answers
from harness.backends.hf.encoding import (
    Encoder,
    TrainingRows,
    encode,
    encode_prompts,
    training_rows,
)
from harness.backends.hf.latency.latency import Latency, generation_latency
from harness.backends.hf.training.trainer import Trained, train_text
from harness.datasets.example import Example
from harness.plan.cell import Cell
from harness.plan.task import Task

DEFAULT_MAX_LENGTH = 1024
"""`SFTConfig`'s own default."""


def training_rows_of(
    examples: Sequence[Example], tokenizer: Any, cell: Cell, task: Task
) -> TrainingRows:
    """``examples`` as ids and labels, audited."""
    encoder = Encoder(cell.model, tokenizer)
    return training_rows(
        encoder.rows(examples),
        max_length=cell.training.get("max_length", DEFAULT_MAX_LENGTH),
        loss_on=cell.training.get("loss_on", "answer"),
        ends={tokenizer.eos_token_id, encoder.end} - {None},
    )


def train(model: Any, tokenizer: Any, cell: Cell, rows: TrainingRows, scratch: Path) -> Trained:
    """The adapter trained on ``rows``."""
    return train_text(model, tokenizer, cell, rows, scratch)


def predict(
    model: Any, tokenizer: Any, cell: Cell, task: Task, test: Sequence[Example], *,
    likelihoods: bool = True,
) -> list[dict[str, Any]]:  # fmt: skip
    """One record per test example: prediction, token counts and the reference's likelihood.

    Without ``likelihoods`` the references are left alone: only what was answered is wanted.
    """
    encoded = encode(cell.model, tokenizer, test)
    batch_size = cell.evaluation.batch_size
    decoded = decode(
        model,
        tokenizer,
        [row.prompt_ids for row in encoded],
        options=cell.generation,
        batch_size=batch_size,
        seed=cell.evaluation.sampling_seed,
    )
    records = [
        {
            "prompt": row.prompt,
            "prediction": answer.text,
            "finish_reason": answer.finish_reason,
            "prompt_tokens": len(row.prompt_ids),
            "new_tokens": answer.new_tokens,
            "batch_ms": round(1000 * answer.batch_seconds, 3),
            "batch_examples": answer.batch_examples,
            "decoded_by": decoded.how["engine"],
        }
        for row, answer in zip(encoded, decoded.answers, strict=True)
    ]
    if likelihoods:
        rows = [row.led for row in encoded]
        found = score_answers(model, rows, pad=tokenizer.pad_token_id, batch_size=batch_size)
        for record, likelihood in zip(records, found, strict=True):
            record |= {
                "nll": likelihood.nll,
                "answer_tokens": likelihood.tokens,
                "correct_tokens": likelihood.correct,
                "entropy": likelihood.entropy,
            }
    return records


def latency(model: Any, tokenizer: Any, cell: Cell, test: Sequence[Example]) -> Latency:
    """Seconds for the first test prompts, one at a time."""
    prompts = first_prompts(tokenizer, cell, test, cell.evaluation.latency_prompts)
    found: Latency = generation_latency(
        model, tokenizer, prompts, cell.evaluation.latency_new_tokens
    )
    return found


def throughput(model: Any, tokenizer: Any, cell: Cell, test: Sequence[Example]) -> dict[str, float]:
    """Tokens per second of one full batch, decoded to a fixed length; its cache and energy."""
    prompts = first_prompts(tokenizer, cell, test, cell.evaluation.batch_size)
    options = fixed_length(cell.evaluation.latency_new_tokens)
    with energy() as used:
        decoded = decode(model, tokenizer, prompts, options=options, batch_size=len(prompts))
    return {
        "batch_tokens_per_s": decoded.new_tokens / decoded.seconds,
        **used.per_1k(decoded.new_tokens),
        **known({"kv_cache_mib": decoded.how.get("kv_cache_mib")}),
    }


def first_prompts(
    tokenizer: Any, cell: Cell, test: Sequence[Example], count: int
) -> list[list[int]]:
    """The ids of the first ``count`` prompts."""
    return encode_prompts(cell.model, tokenizer, test[:count])
