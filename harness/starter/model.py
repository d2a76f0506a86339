"""What is known of the model that a suite names, without downloading anything."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.plan.architecture import ENCODERS
from harness.plan.hub import cached_snapshots
from harness.suite.model_card import GGUF, ModelCard, find_model_card, model_folders, resolve_source
from harness.user_path import expanded

TINY = "tiny-qwen2"
"""The shipped model that runs anywhere."""


@dataclass(frozen=True)
class Chosen:
    """The model of a suite."""

    name: str
    """Its name on the axis."""
    source: str | None = None
    """Its folder or GGUF file, relative to the suite; None where the name is a card's or a hub
    id."""
    has_template: bool | None = None
    """Whether its tokenizer has a chat template; None where its files are not here."""
    is_encoder: bool | None = None
    """Whether it has no language head; None where its files are not here."""
    prompt: str | None = None
    """The prompt style of its card, where it has one."""
    is_packed: bool = False
    """Whether it is a GGUF file, which no other quantization fits."""

    @property
    def is_tiny(self) -> bool:
        """Whether it is one of the shipped models of two million parameters."""
        return self.name.startswith("tiny-")


def model_of(given: str | None, folder: Path) -> Chosen:
    """The model ``given``: a folder or GGUF file, a card's name or a hub id; None is the tiny one.

    Args:
        given: As you wrote it; a folder or file is relative to where you are.
        folder: The suite's folder, which a folder is written relative to.

    Raises:
        HarnessError: there is no such card, and it is no hub id; or the folder holds no model.
    """
    if given is None:
        return model_of(TINY, folder)
    place = expanded(given)
    if place.is_dir() or (place.suffix == GGUF and place.is_file()):
        return _at(place, folder)
    card = find_model_card(given, model_folders(folder))
    files = [Path(card.source)] if card.is_local else cached_snapshots(card.source)
    found = _known(files)
    encoder = _is_encoder(card.architecture) if card.architecture else found.is_encoder
    return Chosen(given, None, found.has_template, encoder, card.prompt, card.gguf_file is not None)


def _at(path: Path, folder: Path) -> Chosen:
    """The model in a folder, or in a GGUF file, of a suite in ``folder``."""
    path = path.resolve()
    files = [] if (path / "config.json").is_file() else sorted(path.glob(f"*{GGUF}"))
    if len(files) == 1:
        path = files[0]
    elif files:
        hint = f"Name the file: --model {files[0]}"
        raise HarnessError(f"holds {len(files)} GGUF files", where=str(path), hint=hint)
    card = resolve_source(ModelCard(name=path.stem, source=str(path)), path.parent)
    name = re.sub(r"[^a-z0-9.]+", "-", path.name.lower().removesuffix(GGUF)).strip("-.") or "model"
    written = os.path.relpath(path, folder.resolve())
    if not written.startswith("."):
        written = f"./{written}"  # `a/b` could be a hub id, too
    found = Chosen("") if card.gguf_file else _known([path])
    return replace(found, name=name, source=written, is_packed=card.gguf_file is not None)


def _known(folders: list[Path]) -> Chosen:
    for folder in folders:
        tokenizer, configuration = folder / "tokenizer_config.json", folder / "config.json"
        if tokenizer.is_file() or configuration.is_file():
            written = (folder / "chat_template.jinja").is_file()
            template = written or bool(_read(tokenizer).get("chat_template"))
            return Chosen(
                "", has_template=template if tokenizer.is_file() or written else None,
                is_encoder=_is_encoder(_read(configuration)) if configuration.is_file() else None,
            )  # fmt: skip
    return Chosen("")


def _is_encoder(configuration: Mapping[str, Any]) -> bool:
    return configuration.get("model_type") in ENCODERS


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
