"""The text task: training rows, answers with their likelihood, and speed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from transformers import PreTrainedModel

from harness.backends.base import Asking, Piece, TellStep, without_missing
from harness.backends.hf.counters.energy import energy
from harness.backends.hf.decoding.decode import decode, decoding_facts, fixed_length
from harness.backends.hf.decoding.likelihood import score_answers
from harness.backends.hf.decoding.streaming import stream
from harness.backends.hf.encoding import (
    Encoder,
    TrainingRows,
    encode,
    encode_prompts,
    training_rows,
)
from harness.backends.hf.latency.latency import Latency, generation_latency
from harness.backends.hf.stop_tokens import loaded_stops
from harness.backends.hf.tasks.pretrained import PretrainedTask
from harness.backends.hf.training.checkpoints import Checkpoints
from harness.backends.hf.training.trained import Trained
from harness.backends.hf.training.trainer import train_text
from harness.datasets.example import Example
from harness.metrics.prediction import Prediction
from harness.suite.options import training_value


class TextTask(PretrainedTask):
    """Answers are texts: learned token by token, decoded, and held against the references."""

    def training_rows(self, train: Sequence[Example]) -> TrainingRows:
        """``train`` as ids and labels, audited."""
        encoder = Encoder(self.cell.model, self.tokenizer)
        return training_rows(
            encoder.rows(train),
            max_length=training_value(self.cell.training, "max_length"),
            loss_on=self.cell.training.get("loss_on", "answer"),
            ends={self.tokenizer.eos_token_id, encoder.end} - {None},
        )

    def train(
        self, model: PreTrainedModel, rows: TrainingRows, scratch: Path,
        checkpoints: Checkpoints | None = None, *, tell: TellStep | None = None,
    ) -> Trained:  # fmt: skip
        """The adapter trained on ``rows``."""
        return train_text(model, self.tokenizer, self.cell, rows, scratch, checkpoints, tell=tell)

    def predict(
        self, model: PreTrainedModel, test: Sequence[Example], asking: Asking
    ) -> list[Prediction]:
        """One record per example: prediction, token counts and the reference's likelihood."""
        encoded = encode(self.cell.model, self.tokenizer, test)
        decoded = decode(
            model,
            self.tokenizer,
            [row.prompt_ids for row in encoded],
            options=self.cell.generation,
            batch_size=asking.batch_size,
            seed=asking.seed,
            copies=asking.copies,
        )
        records: list[Prediction] = [
            {
                "prompt": row.prompt,
                "prediction": answer.text,
                "finish_reason": answer.finish_reason,
                "prompt_tokens": len(row.prompt_ids),
                "new_tokens": answer.new_tokens,
                "batch_ms": round(1000 * answer.batch_seconds, 3),
                "batch_examples": answer.batch_examples,
                "decoded_by": decoded.engine,
            }
            for row, answer in zip(encoded, decoded.answers, strict=True)
        ]
        if asking.likelihoods:
            pad = self.tokenizer.pad_token_id
            rows = [row.led for row in encoded]
            scores = score_answers(model, rows, pad=pad, batch_size=asking.batch_size)
            for record, likelihood in zip(records, scores, strict=True):
                record |= {
                    "nll": likelihood.nll,
                    "answer_tokens": likelihood.tokens,
                    "correct_tokens": likelihood.correct,
                    "entropy": likelihood.entropy,
                }
        return records

    def stream(self, model: PreTrainedModel, example: Example, asking: Asking) -> Iterator[Piece]:
        """The answer to ``example``, growing token by token."""
        (prompt,) = self.prompt_ids([example])
        options, seed = self.cell.generation, asking.seed
        return stream(model, self.tokenizer, prompt, options=options, seed=seed)

    def describe(self, model: PreTrainedModel, test: Sequence[Example]) -> dict[str, object]:
        """How prompts are made, what ends an answer, and how answers were decoded."""
        facts = Encoder(self.cell.model, self.tokenizer).facts(test, loaded_stops(model))
        return {
            "decoding": decoding_facts(model),
            "first_prompt": facts["first_prompt"],
            "prompting": facts,
        }

    def latency(self, model: PreTrainedModel, test: Sequence[Example]) -> Latency:
        """Seconds for the first test prompts, one at a time."""
        evaluation = self.cell.evaluation
        prompts = self.prompt_ids(test[: evaluation.latency_prompts])
        return generation_latency(model, self.tokenizer, prompts, evaluation.latency_new_tokens)

    def throughput(self, model: PreTrainedModel, test: Sequence[Example]) -> dict[str, float]:
        """Tokens per second of one full batch, decoded to a fixed length; its cache and energy."""
        evaluation = self.cell.evaluation
        prompts = self.prompt_ids(test[: evaluation.batch_size])
        options = fixed_length(evaluation.latency_new_tokens)
        with energy() as used:
            decoded = decode(
                model, self.tokenizer, prompts, options=options, batch_size=len(prompts)
            )
        return {
            "batch_tokens_per_s": decoded.new_tokens / decoded.seconds,
            **used.per_1k(decoded.new_tokens),
            **without_missing({"kv_cache_mib": decoded.cache_mib}),
        }

    def prompt_ids(self, examples: Sequence[Example]) -> list[list[int]]:
        """The ids of each prompt."""
        return encode_prompts(self.cell.model, self.tokenizer, examples)
