"""Checkpoints that fit their architecture: what `from_pretrained` only logs is refused here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from transformers import PreTrainedModel

from harness.errors import HarnessError, SkipCell
from harness.suite.model_card import ModelCard

COMPUTED = re.compile(r"(inv_freq|position_ids|masked_bias|attn\.bias|attention\.bias)$")
"""Buffers that older versions saved and that a constructor computes: no weight is lost."""
SHOWN = 5
"""Names of weights in a message."""


def from_hub(load: Any, card: ModelCard, **kwargs: Any) -> Any:
    """Load ``card``'s source with ``load``.

    Raises:
        SkipCell: a hub id that cannot be fetched.
        HarnessError: it cannot be loaded.
    """
    if card.gguf_file:
        kwargs["gguf_file"] = card.gguf_file
    try:
        return load(card.source, revision=card.revision, trust_remote_code=False, **kwargs)
    except OSError as error:
        if card.is_local:
            raise HarnessError(f'model "{card.name}" cannot be loaded: {error}') from error
        raise SkipCell(f"{card.source} cannot be fetched: {_first_line(error)}") from error
    except torch.OutOfMemoryError:
        raise
    except (ValueError, RuntimeError, KeyError, ImportError, AttributeError, TypeError) as error:
        text = f'model "{card.name}" cannot be loaded: {_first_line(error)}'
        raise HarnessError(text, hint=f"`source` is {card.source}.") from error


def load_fitting(load: Any, card: ModelCard, *, headed: bool, **kwargs: Any) -> Any:
    """Return the model of ``card``, all of whose weights came from its checkpoint.

    Args:
        load: `from_pretrained` of an automatic class.
        card: Where the checkpoint is.
        headed: Whether a new classification head is put in the place of the language head.
        kwargs: Passed to ``load``.

    Raises:
        HarnessError: weights are missing, left over, or of another shape.
    """
    # mismatched sizes are let through here, so that one message can list everything that is wrong
    more = {"output_loading_info": True, "ignore_mismatched_sizes": True}
    model, info = from_hub(load, card, **more, **kwargs)
    problems = [
        *_named("missing from the checkpoint", _missing(model, info, headed=headed)),
        *_named("in the checkpoint, not in the model", _unexpected(model, info, headed=headed)),
        *_named("of another shape", _mismatched(model, info, headed=headed)),
    ]
    if problems:
        kind = type(model).__name__
        raise HarnessError(
            f'model "{card.name}": the checkpoint does not fit {kind}: {"; ".join(problems)}',
            hint="The model would run with random weights in their place. Check `source`,"
            " `revision` and the checkpoint's config.json.",
        )
    return model


def _missing(model: PreTrainedModel, info: Mapping[str, Any], *, headed: bool) -> list[str]:
    inside = f"{model.base_model_prefix}."
    return [
        name
        for name in info["missing_keys"]
        if not COMPUTED.search(name)
        and not (headed and not name.startswith(inside))  # the new head, and its dense layer
    ]


def _mismatched(model: PreTrainedModel, info: Mapping[str, Any], *, headed: bool) -> list[str]:
    inside = f"{model.base_model_prefix}."
    return [
        f"{name} {list(stored)} for {list(wanted)}"
        for name, stored, wanted in info["mismatched_keys"]
        if not headed or name.startswith(inside)  # a head of as many other labels is made anew
    ]


def _unexpected(model: PreTrainedModel, info: Mapping[str, Any], *, headed: bool) -> list[str]:
    """Weights that nobody took; those of the language head do not count where it is replaced."""
    inside = f"{model.base_model_prefix}."
    found = [name for name in info["unexpected_keys"] if not COMPUTED.search(name)]
    if not headed:
        return found
    prefixed = any(name.startswith(inside) for name in found)
    heads = ("lm_head.", "cls.", "score.", "classifier.", "embed_out.", "predictions.")
    return [
        name
        for name in found
        if not name.startswith(heads) and (name.startswith(inside) or not prefixed)
    ]


def _named(what: str, names: Iterable[str]) -> list[str]:
    ordered = sorted(names)
    if not ordered:
        return []
    more = f" and {len(ordered) - SHOWN} more" if len(ordered) > SHOWN else ""
    return [f"{what}: {', '.join(ordered[:SHOWN])}{more}"]


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
