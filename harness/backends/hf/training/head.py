"""Classification heads on flat batches: the body reads rows end to end, the head one place of each.

What follows the body (pooling, dropout, the head, its loss) is the model's own forward pass over
rows of one token: the hidden state that it would have picked from a padded row. An encoder picks
the first token of a row, a decoder the last one before the padding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndCrossAttentions

from harness.backends.hf.decoding.evidence import takes
from harness.backends.hf.encoding import IGNORED
from harness.backends.hf.forwards import replaced
from harness.backends.hf.training.flat_attention import mask_of
from harness.backends.hf.training.flat_batch import FlatBatch, Row
from harness.backends.hf.training.objective import Objective
from harness.backends.hf.training.token_loss import Learned

ENCODERS = frozenset({"bert", "camembert", "distilbert", "electra", "roberta", "xlm-roberta"})
"""`model_type`s whose tokens see their whole row, and whose head reads its first token."""
COUNTED_FROM_PAD = frozenset({"camembert", "roberta", "xlm-roberta"})
"""Those of them whose positions begin after the id of the padding token, an old habit."""


def head_rows(rows: Iterable[Mapping[str, Any]], model: PreTrainedModel) -> list[Row]:
    """Rows of ``input_ids`` and a label as tensors: the label is at the place that is read."""
    found = []
    for row in rows:
        ids = torch.tensor(row["input_ids"])
        targets = torch.full_like(ids, IGNORED)
        targets[_place(ids, model)] = row["labels"]
        found.append(Row(ids, targets, 1, first=False))
    return found


def _place(ids: torch.Tensor, model: PreTrainedModel) -> int:
    """Where the head reads a row of ``ids``, as the model's own forward pass decides it."""
    if model.config.model_type in ENCODERS:
        return 0
    # a row may end in the very token that pads: the model then reads the one before
    there = (ids != model.config.get_text_config().pad_token_id).nonzero()
    return int(there[-1]) if len(there) else 0


def head_model(model: PreTrainedModel) -> PreTrainedModel:
    """The model with the head, below an adapter's wrapper; adapters work inside it."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def body_of(model: PreTrainedModel) -> Any:
    """What the head of ``model`` stands on."""
    inner = head_model(model)
    return getattr(inner, inner.base_model_prefix)


def learn_labels(
    model: PreTrainedModel,
    batch: FlatBatch,
    *,
    share: torch.Tensor | float,
    half: bool,
    **_: object,
) -> Learned:
    """Run ``model`` over ``batch``; the caller goes back through the result inside `reading`."""
    with torch.autocast(batch.ids.device.type, torch.bfloat16, enabled=half, cache_enabled=False):
        loss = head_outputs(model, batch, half=half, labels=batch.targets).loss
    nothing = torch.zeros((), device=batch.ids.device)
    return Learned(loss.float() * share, nothing, nothing)


def head_outputs(
    model: PreTrainedModel, batch: FlatBatch, *, half: bool, labels: torch.Tensor | None = None
) -> Any:
    """What the head of ``model`` gives for the rows of ``batch``, inside `reading`."""
    body, device, kind = body_of(model), batch.ids.device, model.config.model_type
    segments, positions, more = batch.segments, batch.positions, dict[str, Any]()
    segments.encoder, segments.drops_out = kind in ENCODERS, True
    if masked(model, half=half):
        assert segments.cumulative is not None
        tokens = batch.ids.shape[1]
        segments.mask = mask_of(segments.cumulative, tokens, encoder=segments.encoder)
    if kind in COUNTED_FROM_PAD:
        positions = positions + model.config.pad_token_id + 1
    if kind in ENCODERS and takes(body, "token_type_ids"):
        # the buffer of zeros that it would take is as long as the longest row alone (GPT-2 takes
        # such ids too, and embeds them as words)
        more["token_type_ids"] = torch.zeros_like(batch.ids)
    if takes(body, "use_cache"):
        more["use_cache"] = False  # no answer follows that would read the keys and values again
    hidden = body(
        input_ids=batch.ids,
        position_ids=positions,
        # a mask of four dimensions is taken as it is; `flat_attention` does not read it
        attention_mask=torch.ones(1, 1, 1, 1, dtype=torch.bool, device=device),
        **more,
    )[0]
    read = hidden[0, batch.at][:, None]
    with _answering(body, read):
        return head_model(model)(input_ids=batch.ids[0, batch.at][:, None], labels=labels)


def masked(model: PreTrainedModel, *, half: bool) -> bool:
    """Whether attention over rows end to end needs a mask: its kernel knows 16 bits alone."""
    return bool(model.device.type == "cuda" and not half and model.dtype is torch.float32)


@contextmanager
def _answering(body: Any, hidden: torch.Tensor) -> Iterator[None]:
    """Replace the body's forward pass by one that returns ``hidden``."""

    def answer(*_: Any, **__: Any) -> BaseModelOutputWithPoolingAndCrossAttentions:
        pooler = getattr(body, "pooler", None)
        pooled = pooler(hidden) if pooler is not None else None
        return BaseModelOutputWithPoolingAndCrossAttentions(hidden, pooled)

    with replaced({body: answer}):
        yield


def _batches(model: PreTrainedModel, batches: Sequence[Sequence[Row]]) -> int:
    """A head's loss is a mean over its batch; the trainer then averages over batches."""
    return len(batches)


LABELS = Objective(learn_labels, _batches, counts_tokens=False)
"""A label a row: a mean over each batch, averaged over the batches of a step."""
