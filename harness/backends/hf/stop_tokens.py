"""Which tokens end an answer: every one that the checkpoint names, and the template's own.

A tokenizer names one end-of-text token. A chat model may end its turns with another, which its
generation config lists or only its template shows; decoding that stops at the first alone runs on
into an invented next turn.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class StopTokens:
    """Ids that end an answer, and where each comes from."""

    sources: dict[int, str]
    """Id → the first place that names it, in the order tokenizer, generation config, config,
    chat template."""
    left_out: tuple[int, ...] = ()
    """Ids of the checkpoint's files that are ordinary words of this tokenizer."""
    texts: dict[int, str] = field(default_factory=dict)
    """Id → the token's text."""

    @property
    def ids(self) -> list[int]:
        """The ids, the tokenizer's own first."""
        return list(self.sources)

    def describe(self) -> dict[str, dict[str, int | str]]:
        """For the result: each token's text, id and source."""
        return {self.texts[i]: {"id": i, "from": source} for i, source in self.sources.items()}


def stop_tokens(
    tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, template_end: int | None = None
) -> StopTokens:
    """The union of what tokenizer, generation config, config and chat template name.

    An id of the two configs counts only where the tokenizer has a special or added token there:
    many architectures default to ``eos_token_id=2``, which is an ordinary word elsewhere.
    """
    config = getattr(model, "config", None)
    named = {
        "tokenizer": [tokenizer.eos_token_id],
        "generation config": _ids(getattr(model, "generation_config", None)),
        "config": [*_ids(config), *_ids(_text_config(config))],
        "chat template": [template_end],
    }
    control = {*tokenizer.added_tokens_decoder, *tokenizer.all_special_ids}
    sources: dict[int, str] = {}
    left_out: list[int] = []
    for source, ids in named.items():
        for token in ids:
            if token is None or token in sources or token in left_out:
                continue
            if source.endswith("config") and token not in control:
                left_out.append(token)
            else:
                sources[token] = source
    texts = {i: str(tokenizer.convert_ids_to_tokens(i)) for i in sources}
    return StopTokens(sources, tuple(left_out), texts)


def keep_stops(model: PreTrainedModel, stops: StopTokens) -> None:
    """Let ``model`` carry what ends its answers, under whatever wraps it later."""
    model.stop_tokens = stops


def loaded_stops(model: PreTrainedModel) -> StopTokens:
    """What `keep_stops` left on ``model`` or on what it wraps; nothing on another model."""
    found = getattr(model, "stop_tokens", None)
    return found if isinstance(found, StopTokens) else StopTokens({})


def without_end(ids: list[int], ends: Collection[int]) -> list[int]:
    """``ids`` without the token that ended them: not every end is a special token to be skipped."""
    return ids[:-1] if ids and ids[-1] in ends else ids


def _ids(config: Any) -> Iterable[int | None]:
    named = getattr(config, "eos_token_id", None)
    return named if isinstance(named, list | tuple) else [named]


def _text_config(config: Any) -> Any:
    return config.get_text_config() if hasattr(config, "get_text_config") else None
