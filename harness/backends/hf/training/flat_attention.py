"""Attention within the rows of a flat batch: rows laid end to end, without padding.

The function is registered with transformers' attention interface. A model that takes it from there
needs no other change. It refuses every argument that it does not know, because an argument that is
left out (a window, a soft cap, a sink) would change the results without a word.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import PreTrainedModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from harness.counting import counted

NAME = "harness_flat"
"""What the model's config calls this attention while it is in use."""
HARMLESS = frozenset({"position_ids", "use_cache", "output_attentions", "output_hidden_states"})
"""Further arguments that models hand down and that change nothing here: positions are in the
queries and keys already, and nothing is cached or returned."""


@dataclass
class Segments:
    """Where the rows of a flat batch begin and end."""

    bounds: tuple[int, ...]
    """0 and the end of each row, for attention that runs row by row (CPU)."""
    cumulative: torch.Tensor | None = None
    """The same on the device, int32, for the variable-length kernel (CUDA)."""
    longest: int = 0
    """At least the longest segment's length; a constant of a captured step."""
    padding: bool = False
    """Whether `longest` may be that of padding, which no window has to reach over."""
    longest_row: int = 0
    """With `padding`, the length of the longest row."""
    mask: torch.Tensor | None = field(default=None, repr=False)
    """Which token sees which, (tokens, tokens): for CUDA in float32, which has no such kernel."""
    prefixes: tuple[tuple[int, int], ...] | None = None
    """For each row the places that come before its own: several answers read one prompt."""
    keys: Keys | None = None
    """The same on the device."""
    encoder: bool = False
    """Whether each token sees its whole row, and not only what comes before it."""
    drops_out: bool = False
    """Whether attention may drop out weights: its masks then differ from those of padded rows."""

    @property
    def reach(self) -> int:
        """How far back a token of a row may look."""
        return self.longest_row if self.padding else self.longest


class Keys(NamedTuple):
    """The keys of rows with prefixes, for the variable-length kernel (CUDA)."""

    at: torch.Tensor
    """Their places in the batch, those of one row after the other."""
    cumulative: torch.Tensor
    """Where each row's begin and end among them, int32."""


class UnknownAttention(RuntimeError):
    """A model hands its attention something that this one does not know."""


def said(error: Exception) -> str:
    """What ``error`` says, in a line, with its kind where that says more."""
    text = [*str(error).splitlines(), ""][0][:160]
    return text if isinstance(error, UnknownAttention) else f"{type(error).__name__}: {text}"


_reading: Segments | None = None
# A module variable, not a ContextVar: gradient checkpointing calls the forward pass again from
# autograd's own thread, which does not see the context of the caller.


@contextmanager
def flat_attention(model: PreTrainedModel) -> Iterator[None]:
    """Let ``model`` use the attention of this module; its own is put back afterwards."""
    configs = {id(c): c for c in (model.config, model.config.get_text_config(decoder=True))}
    before = [(config, config._attn_implementation) for config in configs.values()]
    try:
        for config in configs.values():
            config._attn_implementation = NAME
        yield
    finally:
        for config, own in before:
            config._attn_implementation = own


@contextmanager
def reading(segments: Segments) -> Iterator[None]:
    """Say how the batch is cut whose forward and backward passes run inside."""
    global _reading
    before, _reading = _reading, segments
    try:
        yield
    finally:
        _reading = before


def _attention(
    module: torch.nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor,
    attention_mask: torch.Tensor | None, dropout: float = 0.0, scaling: float | None = None,
    sliding_window: int | None = None, **others: Any,
) -> tuple[torch.Tensor, None]:  # fmt: skip
    """Attention of (1, heads, tokens, size) queries; the result is (1, tokens, heads, size).

    The mask is a placeholder: `Segments` says what it would.
    """
    segments = _reading
    if segments is None:
        raise UnknownAttention("no flat batch is being read")
    # `is_causal` may be left out, as a keyword or as an attribute of the layer
    causal = {others.pop("is_causal", None), getattr(module, "is_causal", None)}
    if segments.encoder in causal or (segments.encoder and False not in causal):
        raise UnknownAttention(f"its attention is {'' if segments.encoder else 'not '}causal")
    extra = sorted(k for k, v in others.items() if v is not None and k not in HARMLESS)
    if dropout and not segments.drops_out:
        extra.append("dropout")
    if sliding_window is not None and sliding_window < segments.reach:
        window = f"a window of {counted(sliding_window, 'token')}"
        raise UnknownAttention(f"its attention has {window}, and rows are up to {segments.reach}")
    if extra:
        raise UnknownAttention(f"its attention is given {', '.join(extra)}")
    if query.device.type != "cuda":
        return _row_by_row(query, key, value, segments, scaling, dropout), None
    if torch.is_autocast_enabled("cuda"):  # as it treats SDPA itself
        query, key, value = (t.to(torch.get_autocast_dtype("cuda")) for t in (query, key, value))
    if query.dtype in (torch.float16, torch.bfloat16):
        return _variable_length(query, key, value, segments, scaling, dropout), None
    if segments.mask is None or segments.prefixes is not None:
        raise UnknownAttention("its attention runs in float32 on CUDA")
    return _masked(query, key, value, segments, scaling, dropout), None


def _row_by_row(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, segments: Segments,
    scaling: float | None, dropout: float,
) -> torch.Tensor:  # fmt: skip
    """One call a row: a mask over the whole batch would do the square of the batch's work."""
    grouped = query.shape[1] != key.shape[1]
    spans = list(pairwise(segments.bounds))
    prefixes = segments.prefixes or [(0, 0)] * len(spans)
    rows = []
    for (start, end), (first, last) in zip(spans, prefixes, strict=True):
        if start == end:
            continue
        k, v = key[:, :, start:end], value[:, :, start:end]
        mask = None
        if first < last:
            k = torch.cat([key[:, :, first:last], k], dim=2)
            v = torch.cat([value[:, :, first:last], v], dim=2)
            # `is_causal` would count the queries from the first key on
            mask = torch.ones(end - start, k.shape[2], dtype=torch.bool).tril(last - first)
        rows.append(
            scaled_dot_product_attention(
                query[:, :, start:end], k, v, attn_mask=mask, dropout_p=dropout,
                is_causal=mask is None and not segments.encoder, scale=scaling, enable_gqa=grouped,
            )
        )  # fmt: skip
    return torch.cat(rows, dim=2).transpose(1, 2)


def _variable_length(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, segments: Segments,
    scaling: float | None, dropout: float,
) -> torch.Tensor:  # fmt: skip
    """FlashAttention's kernel for rows of different lengths, which PyTorch carries."""
    cu, longest = segments.cumulative, segments.longest
    # fewer key heads than query heads are shared by the kernel, with the same gradients as copies
    # squeezed, not indexed, whose gradient is copied into zeros
    q, k, v = (t.squeeze(0).transpose(0, 1).contiguous() for t in (query, key, value))
    cu_keys = cu
    if segments.keys is not None:
        # where there are more keys than queries, the kernel lets the last query see all of them
        cu_keys = segments.keys.cumulative
        k, v = k[segments.keys.at], v[segments.keys.at]
    found: torch.Tensor = torch.ops.aten._flash_attention_forward(
        q, k, v, cu, cu_keys, longest, longest, dropout, not segments.encoder, False, scale=scaling
    )[0]
    return found[None]


def _masked(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, segments: Segments,
    scaling: float | None, dropout: float,
) -> torch.Tensor:  # fmt: skip
    found: torch.Tensor = scaled_dot_product_attention(
        query, key, value, attn_mask=segments.mask, dropout_p=dropout, scale=scaling,
        enable_gqa=query.shape[1] != key.shape[1],
    )  # fmt: skip
    return found.transpose(1, 2)


def mask_of(cumulative: torch.Tensor, tokens: int, *, encoder: bool = False) -> torch.Tensor:
    """Which token sees which, made on the device: (1, 1, tokens, tokens), True where it does."""
    places = torch.arange(tokens, device=cumulative.device)
    row = torch.bucketize(places, cumulative[1:].long(), right=True)
    seen: torch.Tensor = row[:, None] == row[None]
    if not encoder:
        seen = seen & (places[:, None] >= places[None])
    return seen[None, None]


ALL_ATTENTION_FUNCTIONS.register(NAME, _attention)
