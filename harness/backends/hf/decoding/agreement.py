"""Whether a way of decoding agrees with one prompt at a time: asked once for each loaded model.

The allow-list says what was right for an architecture's tiny twin; this says what is right for the
checkpoint, dtype, quantization and adapter at hand. Rounding differs between batches, so what is
compared is the first token's logits, by their relative distance, and then the tokens up to the
first that is a near-tie.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from transformers import GenerationConfig, PreTrainedModel

from harness.errors import HarnessError

PROMPTS, TOKENS = 3, 5
"""Prompts that are decoded both ways, and new tokens of each: some milliseconds a token."""
LONGEST = 512
"""Longer prompts are cut for the check: reading them twice would take as long as answering."""
TOLERANCE = {"float32": 2e-3, "float16": 0.05, "bfloat16": 0.25}
"""Distance of logits in standard deviations of the logits. Rounding alone gave at most 1e-5 in
float32; in bfloat16 0.03 on untrained models and 0.14 on SmolLM2 after fine-tuning, by `generate`
in a padded batch as by the engine. A wrong mask or position gives 0.3 and more."""
QUANTIZED_TOLERANCE = 0.25
"""LLM.int8 looks for outlier columns in the whole batch: rows change with their neighbours."""


class Step(NamedTuple):
    """What a way of decoding gave for one prompt."""

    tokens: list[int]
    logits: torch.Tensor
    """Of the new tokens, or of the first of them alone: shape (some, vocabulary)."""


@dataclass
class Checks:
    """What was found out about one loaded model."""

    verdicts: dict[str, str | None] = field(default_factory=dict)
    """Way of decoding → how it differs from one prompt at a time; None if it agrees."""
    decoded: dict[str, object] = field(default_factory=dict)
    """How it decoded last: engine or `generate`, why, batches."""
    scored: dict[str, object] = field(default_factory=dict)
    """How references were scored last: in flat batches or padded ones, and why."""
    causal: bool = False
    """Whether `check_causal` has looked and found nothing."""

    def verdict(self, way: str, ask: Callable[[], str | None]) -> str | None:
        """Return how ``way`` differs, asked the first time only; None if it agrees."""
        if way not in self.verdicts:
            self.verdicts[way] = ask()
        return self.verdicts[way]


_CHECKS: WeakKeyDictionary[PreTrainedModel, Checks] = WeakKeyDictionary()


def checks_of(model: PreTrainedModel) -> Checks:
    """Return the verdicts on ``model``, which live as long as it does."""
    return _CHECKS.setdefault(model, Checks())


def sample_of(prompts: Sequence[list[int]]) -> list[list[int]]:
    """Return `PROMPTS` prompts of as different lengths as there are, cut at `LONGEST`."""
    ordered = sorted((list(p[-LONGEST:]) for p in prompts), key=len)
    last = len(ordered) - 1
    return [ordered[k] for k in sorted({0, last // 2, last})]


def rotated(prompts: Sequence[list[int]]) -> list[list[int]]:
    """Return two prompts of one length: the middle one of ``prompts``, and it turned by a token."""
    middle = prompts[len(prompts) // 2]
    return [middle, middle[1:] + middle[:1]]


@torch.inference_mode()
def generated(
    model: PreTrainedModel, ids: torch.Tensor, there: torch.Tensor, pad: int
) -> list[Step]:
    """`TOKENS` new tokens of each row by `generate`, fewer where all rows end."""
    config = GenerationConfig(
        max_new_tokens=TOKENS, do_sample=False, pad_token_id=pad,
        eos_token_id=model.generation_config.eos_token_id,
        output_logits=True, return_dict_in_generate=True,
    )  # fmt: skip
    out = model.generate(input_ids=ids, attention_mask=there.long(), generation_config=config)
    logits = torch.stack(out.logits, 1).float().cpu()
    made = out.sequences[:, -logits.shape[1] :].tolist()
    return [Step(*row) for row in zip(made, logits, strict=True)]


def alone(model: PreTrainedModel, prompts: Sequence[list[int]], pad: int) -> list[Step]:
    """Each of ``prompts`` decoded greedily by itself, without padding."""
    found = []
    for prompt in prompts:
        ids = torch.tensor([prompt], device=model.device)
        found += generated(model, ids, torch.ones_like(ids), pad)
    return found


def disagreement(
    wanted: Sequence[Step], decode: Callable[[], Sequence[Step]], tolerance: float
) -> str | None:
    """Return how ``decode`` differs from ``wanted`` by more than rounding; None if it does not.

    An error counts as a difference: that way is not used, and the reason is kept.
    """
    try:
        found = decode()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        return f"{type(error).__name__}: {[*str(error).splitlines(), ''][0][:120]}"
    for right, step in zip(wanted, found, strict=True):
        away = distance(step.logits[0], right.logits[0])
        if not away <= tolerance:  # NaN counts as away
            return f"its first logits are {away:.2g} standard deviations off"
        for k, (token, other) in enumerate(zip(step.tokens, right.tokens, strict=False)):
            if token != other:
                gap = _gap(right.logits[k], token)
                if not gap <= tolerance:
                    return f"new token {k + 1} is another, by {gap:.2g} standard deviations"
                break  # after a near-tie the two read different texts
    return None


@torch.inference_mode()
def check_causal(model: PreTrainedModel, prompt: Sequence[int]) -> None:
    """Refuse a model that reads the tokens after the one that it is asked about.

    It is asked once for each loaded model, whichever way of asking it is tried first.

    Raises:
        HarnessError: another last token changes the logits of the first, or they are no numbers.
    """
    checks = checks_of(model)
    if checks.causal:
        return
    first = list(prompt) if len(prompt) > 1 else [*prompt, prompt[0]]
    words = int(model.config.get_text_config(decoder=True).vocab_size)
    other = [*first[:-1], (first[-1] + 1) % words]
    ids = torch.tensor([first, other], device=model.device)
    logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    place = logits.shape[1] - len(first)  # virtual tokens of prompt learning come first
    away = distance(logits[0, place], logits[1, place])
    kind = model.config.model_type
    if math.isnan(away):  # every comparison with NaN is false: it would pass as causal
        raise HarnessError(
            f"{kind} gives logits that are not numbers (NaN or infinite)",
            hint="Its weights or activations left the range of their precision. Lower"
            " `training.learning_rate` of what was trained, or compute in bfloat16 or float32.",
        )
    if not away <= tolerance_of(model):
        raise HarnessError(
            f"{kind} reads later tokens (an encoder): it can neither continue a text nor rank"
            " answers by likelihood",
            hint="Use a causal model, or `classify_by: head` without the adapter `base`.",
        )
    checks.causal = True


def tolerance_of(model: PreTrainedModel) -> float:
    """What rounding may do to the logits of ``model``, in their standard deviations."""
    if getattr(model, "is_quantized", False):
        return QUANTIZED_TOLERANCE
    return TOLERANCE.get(str(model.dtype).removeprefix("torch."), QUANTIZED_TOLERANCE)


def furthest(distances: Iterable[float]) -> float:
    """Return the largest of ``distances``; NaN if one of them is.

    Python's `max` compares by ``>``, which is false for NaN: ``max(0.0, nan)`` is 0.0.
    """
    found = list(distances)
    return math.nan if any(map(math.isnan, found)) else max(found)


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return how far logits are apart, in standard deviations of ``other``; NaN if one is NaN."""
    one, other = one.float().cpu(), other.float().cpu()
    # some vocabularies are padded with -inf; `isfinite` would leave out NaN as well
    kept = ~torch.isneginf(other)
    return float((one - other)[kept].square().mean().sqrt() / other[kept].std().clamp(min=1e-9))


def _gap(logits: torch.Tensor, token: int) -> float:
    spread = logits[torch.isfinite(logits)].std().clamp(min=1e-9)
    return float((logits.max() - logits[token]) / spread)
