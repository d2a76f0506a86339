"""How likely the reference is to the model: sums over all examples first, then the ratio.

Loss and perplexity depend on the tokenizer and compare variants of one model; bits per byte
compare across models.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

from harness.metrics.prediction import Prediction
from harness.metrics.record import Metric, Place
from harness.metrics.registry import register

_CAP = 700.0
"""Above it `math.exp` overflows a double (at 709.8)."""


class _Ratio:
    """A corpus value of the records that have a likelihood."""

    def __init__(self, ratio: Callable[[Sequence[Prediction]], float]) -> None:
        self.ratio = ratio

    def value(self, records: Sequence[Prediction], labels: Sequence[str]) -> float | None:
        """The ratio; None where no record has a likelihood."""
        scored = with_likelihood(records)
        return self.ratio(scored) if scored else None


def with_likelihood(records: Sequence[Prediction]) -> list[Prediction]:
    """The records whose reference's likelihood was computed."""
    return [record for record in records if record.get("nll") is not None]


Sum = Literal["nll", "correct_tokens", "entropy", "answer_tokens"]
"""What a record holds summed over the tokens of its reference."""


def _sum(records: Sequence[Prediction], key: Sum) -> float:
    return math.fsum(record[key] or 0.0 for record in records)


def _per_token(key: Sum) -> Callable[[Sequence[Prediction]], float]:
    return lambda records: _sum(records, key) / _sum(records, "answer_tokens")


def _perplexity(records: Sequence[Prediction]) -> float:
    return math.exp(min(_per_token("nll")(records), _CAP))


def _bits_per_byte(records: Sequence[Prediction]) -> float:
    size = sum(len(record["reference"].encode()) for record in records)
    return _sum(records, "nll") / math.log(2) / size


_SHOWN: tuple[Place, ...] = ("leaderboard", "card")

for _name, _unit, _direction, _ratio in (
    ("eval_loss", "nats/token", False, _per_token("nll")),
    ("perplexity", "", False, _perplexity),
    ("bits_per_byte", "bit/byte", False, _bits_per_byte),
    ("token_accuracy", "share", True, _per_token("correct_tokens")),
    ("entropy", "nats/token", None, _per_token("entropy")),
):
    register(
        Metric(
            name=_name, unit=_unit, higher_is_better=_direction, reads="likelihood",
            corpus=_Ratio(_ratio), family="likelihood", settings="teacher_forced|eos:counted",
            shown=_SHOWN if _name == "eval_loss" else (),
        )
    )  # fmt: skip
