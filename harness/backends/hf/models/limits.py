"""What a model can take: its context and its rows of the embedding."""

from __future__ import annotations

from collections.abc import Iterable

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from harness.counting import counted
from harness.errors import HarnessError

SCALED = frozenset({"linear", "dynamic", "yarn"})
"""Kinds of rotary scaling whose `factor` multiplies the length in the configuration."""


def context_of(model: PreTrainedModel) -> int | None:
    """Return how many tokens ``model`` can read; None where its configuration sets no end."""
    config = model.config.get_text_config(decoder=True)
    length = getattr(config, "max_position_embeddings", None)
    if not isinstance(length, int) or length <= 0:
        return None
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    kind = rope.get("rope_type", rope.get("type"))
    if kind in SCALED and rope.get("factor"):
        original = rope.get("original_max_position_embeddings") or length
        return max(length, int(original * rope["factor"]))
    return length


def check_context(model: PreTrainedModel, lengths: Iterable[int], what: str) -> None:
    """Refuse texts that are longer than the context: positions would be made up, or fail.

    Args:
        model: The model that reads them.
        lengths: Their tokens, the answer's room included.
        what: How to call them in the message.

    Raises:
        HarnessError: with how many there are and how long the longest is.
    """
    peft = getattr(model, "active_peft_config", None)
    virtual = peft.num_virtual_tokens if peft is not None and peft.is_prompt_learning else 0
    limit = context_of(model)
    limit = None if limit is None else limit - virtual
    over = [] if limit is None else [length for length in lengths if length > limit]
    if over:
        raise HarnessError(
            f"{len(over)} {what} of up to {counted(max(over), 'token')} do not fit the context of"
            f" {limit}",
            hint="Shorten or leave out these rows, or lower max_new_tokens or max_length.",
        )


def usable_pad(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Give ``tokenizer`` a padding token that ``model`` has a row for.

    Padding is masked, so any row does; an id outside the embedding ends in an index error.

    Raises:
        HarnessError: there is none, or the end-of-text token has no row.
    """
    rows = int(model.get_input_embeddings().weight.shape[0])
    eos = tokenizer.eos_token_id
    if eos is not None and eos >= rows:
        raise HarnessError(
            f'the end-of-text token "{tokenizer.eos_token}" has id {eos}, but the model has only'
            f" {counted(rows, 'row')}: the tokenizer belongs to another model",
        )
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id >= rows:
        inside = [
            t for t in (tokenizer.unk_token, tokenizer.eos_token) if _inside(tokenizer, t, rows)
        ]
        if not inside:
            raise HarnessError("the tokenizer has no padding token for which the model has a row")
        tokenizer.pad_token = inside[0]


def _inside(tokenizer: PreTrainedTokenizerBase, token: str | None, rows: int) -> bool:
    return token is not None and int(tokenizer.convert_tokens_to_ids(token)) < rows


def check_end(tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Refuse a tokenizer without an end-of-text token: answers could never end.

    Raises:
        HarnessError: it has none.
    """
    if tokenizer.eos_token_id is None:
        hint = "Write `eos_token` in its tokenizer_config.json."
        raise HarnessError(f'model "{name}": its tokenizer has no end-of-text token', hint=hint)
