"""What the hub says of a model before its weights are downloaded: its configuration, or why not.

One small file is asked for, once a process, and only for a model that has no card with its
architecture. Nothing here needs torch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from harness.errors import HarnessError

WEIGHTS = {".safetensors", ".bin", ".gguf"}
"""Endings of files that hold weights."""


@dataclass(frozen=True)
class HubModel:
    """What is known of a model on the hub."""

    configuration: Mapping[str, Any] | None = None
    """Its `config.json`; None where it cannot be read."""
    unavailable: str | None = None
    """Why it cannot be used now: gated, or not in the cache of a machine without the hub."""


def is_offline() -> bool:
    """Whether the hub is switched off by `HF_HUB_OFFLINE`."""
    return os.environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "true", "yes", "on"}


def is_cached(source: str) -> bool:
    """Whether the local cache holds weights of ``source``, not its configuration alone."""
    snapshots = _cache() / f"models--{source.replace('/', '--')}" / "snapshots"
    return any(path.suffix in WEIGHTS for path in snapshots.glob("*/*"))


def is_data_cached(source: str) -> bool:
    """Whether `datasets` has prepared ``source`` before: it then works without the hub."""
    folder = Path(os.environ.get("HF_DATASETS_CACHE", _home() / "datasets"))
    return (folder.expanduser() / source.replace("/", "___")).is_dir()


def has_token() -> bool:
    """Whether a hub token is set or stored."""
    return bool(os.environ.get("HF_TOKEN")) or (_home() / "token").is_file()


def _home() -> Path:
    return Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()


def _cache() -> Path:
    return Path(os.environ.get("HF_HUB_CACHE", _home() / "hub")).expanduser()


@cache
def hub_model(source: str, revision: str | None) -> HubModel:
    """What the cache or the hub says of ``source``.

    Raises:
        HarnessError: the hub has no such model or revision.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        path = hf_hub_download(source, "config.json", revision=revision)
    except GatedRepoError:
        return HubModel(unavailable=gated_reason(source))
    except RepositoryNotFoundError:
        hint = "Correct the id, or set HF_TOKEN if it is private."
        raise HarnessError(f'the hub has no model "{source}"', hint=hint) from None
    except RevisionNotFoundError:
        raise HarnessError(f'model "{source}" has no revision "{revision}" on the hub') from None
    except LocalEntryNotFoundError:  # a subclass of EntryNotFoundError: it must come first
        return HubModel(unavailable=uncached_reason(source))
    except EntryNotFoundError:
        return HubModel()  # a repository without config.json: a GGUF file, say
    except (HfHubHTTPError, OSError):
        return HubModel(unavailable=uncached_reason(source))
    return HubModel(json.loads(Path(path).read_text("utf-8")))


def gated_reason(source: str) -> str:
    """Why a gated model is skipped, and what to do."""
    return f"{source} is gated: accept its licence on its page, then set HF_TOKEN"


def uncached_reason(source: str) -> str:
    """Why a model is skipped that is neither here nor can be fetched."""
    off = "the hub is switched off" if is_offline() else "the hub cannot be reached"
    return f"{source} is not in the local cache and {off}"
