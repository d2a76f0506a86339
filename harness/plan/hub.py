"""What the hub says of a model before its weights are downloaded: its configuration, or why not.

One small file is asked for, once a process, and only for a model that has no card with its
architecture; an adapter, which is small, is fetched whole. Nothing here needs torch.
"""

from __future__ import annotations

import json
import os
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from harness.errors import HarnessError
from harness.time_limit import within
from harness.user_path import expanded_if_known

ENDPOINT = "https://huggingface.co"
"""The hub, where `HF_ENDPOINT` names no other."""
SWITCH = "HF_HUB_OFFLINE"
"""The variable by which all libraries leave the hub alone."""
PATIENCE = 5.0
"""Seconds for the hub's first answer. The libraries try for half a minute for each file instead,
which is right for a download that breaks, and wrong for a laptop without network."""
LOOK_UP_PATIENCE = 20.0
"""Seconds for one small file of a hub that answers."""
_SILENT = threading.Event()
"""Set once the hub has left a question open: nothing more is asked."""
ADAPTER_FILES = ("adapter_config.json", "adapter_model.*", "harness.json")
"""What is fetched of an adapter: its repository may hold checkpoints of gigabytes, too."""
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
    return os.environ.get(SWITCH, "").lower() in {"1", "true", "yes", "on"}


def is_reachable() -> bool:
    """Whether the hub answers at all, asked once in a process; False where it is switched off.

    False from then on, too, where it left a question open for `LOOK_UP_PATIENCE`.
    """
    return not is_offline() and not _SILENT.is_set() and _answers()


@cache
def _answers() -> bool:
    try:
        return within(PATIENCE, _is_answered)
    except TimeoutError:
        return False


def _is_answered() -> bool:
    asked = Request(os.environ.get("HF_ENDPOINT", ENDPOINT), method="HEAD")
    try:
        urlopen(asked, timeout=PATIENCE).close()
    except HTTPError:
        return True  # an answer, whichever
    except URLError as error:
        return isinstance(error.reason, ssl.SSLError)  # its certificate is the libraries' business
    except (OSError, HTTPException, ValueError):
        return False
    return True


@contextmanager
def switched_off_if_unreachable() -> Iterator[None]:
    """Switch the hub off for the processes that start meanwhile, where it does not answer.

    They have what they need in the cache, and would ask for newer files of each model in vain, for
    half a minute each time.
    """
    if is_offline() or is_reachable():
        yield
        return
    before = os.environ.get(SWITCH)
    os.environ[SWITCH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[SWITCH]
        else:
            os.environ[SWITCH] = before


def is_hub_id(source: str) -> bool:
    """Whether ``source`` can name a repository: `owner/name`, and no path that says it is one."""
    return source.count("/") == 1 and not source.startswith((".", "/", "~"))


def is_cached(source: str) -> bool:
    """Whether the local cache holds weights of ``source``, not its configuration alone."""
    return any(p.suffix in WEIGHTS for folder in cached_snapshots(source) for p in folder.glob("*"))


def cached_snapshots(source: str) -> list[Path]:
    """The folders of ``source`` in the local cache, one a revision, the newest first."""
    found = []
    for path in (_cached(source) / "snapshots").glob("*"):
        with suppress(FileNotFoundError):  # deleted from the cache since it was listed
            found.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(found, reverse=True)]


def cached_commit(source: str, revision: str | None) -> str | None:
    """The commit of ``source`` that the local cache holds under ``revision``; None if it has none.

    It is what was loaded: the hub may have moved on since.
    """
    home = _cached(source)
    name = revision or "main"
    if (home / "snapshots" / name).is_dir():
        return name  # it is a commit itself
    try:
        return (home / "refs" / name).read_text("utf-8").strip() or None
    except OSError:
        return None


def _cached(source: str) -> Path:
    """The folder of ``source`` in the local cache."""
    return _cache() / f"models--{source.replace('/', '--')}"


def is_data_cached(source: str) -> bool:
    """Whether `datasets` has prepared ``source`` before: it then works without the hub."""
    return (cache_folders()["data sets"] / source.replace("/", "___")).is_dir()


def cache_folders() -> dict[str, Path]:
    """Where the libraries keep what they fetch: `models`, `data sets`."""
    data = os.environ.get("HF_DATASETS_CACHE", _home() / "datasets")
    return {"models": _cache(), "data sets": expanded_if_known(data)}


def has_token() -> bool:
    """Whether a hub token is set or stored."""
    return bool(os.environ.get("HF_TOKEN")) or (_home() / "token").is_file()


def _home() -> Path:
    return expanded_if_known(os.environ.get("HF_HOME", "~/.cache/huggingface"))


def _cache() -> Path:
    return expanded_if_known(os.environ.get("HF_HUB_CACHE", _home() / "hub"))


@cache
def hub_model(source: str, revision: str | None) -> HubModel:
    """What the cache or the hub says of ``source``.

    Raises:
        HarnessError: the hub has no such model or revision.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    try:
        there = is_reachable()
        fetch = partial(
            hf_hub_download, source, "config.json", revision=revision, local_files_only=not there
        )
        path = within(LOOK_UP_PATIENCE, fetch) if there else fetch()
    except TimeoutError:
        _SILENT.set()
        return hub_model.__wrapped__(source, revision)  # what the cache has of it
    except (HfHubHTTPError, OSError) as error:
        reason = _unavailable("model", source, revision, error)
        if reason is None and isinstance(error, EntryNotFoundError):
            return HubModel()  # a repository without config.json: a GGUF file, say
        return HubModel(unavailable=reason or uncached_reason(source))
    return HubModel(json.loads(Path(path).read_text("utf-8")))


@cache
def hub_adapter(source: str, revision: str | None) -> Path:
    """The folder of the adapter ``source`` in the local cache, fetched if it is not there yet.

    Raises:
        HarnessError: the hub has no such adapter, or it cannot be fetched now.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.utils import disable_progress_bars, enable_progress_bars

    disable_progress_bars()  # a few megabytes, looked up by every command that plans
    try:
        folder = snapshot_download(
            source, revision=revision, allow_patterns=list(ADAPTER_FILES),
            local_files_only=not is_reachable(),
        )  # fmt: skip
    except (HfHubHTTPError, OSError) as error:
        reason = _unavailable("adapter", source, revision, error) or uncached_reason(source)
        raise HarnessError(f"adapter {reason}") from None
    finally:
        enable_progress_bars()
    return Path(folder)


def _unavailable(kind: str, source: str, revision: str | None, error: Exception) -> str | None:
    """Why ``source`` cannot be had now; None where ``error`` is of another kind.

    Raises:
        HarnessError: the hub has no such repository or revision.
    """
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if isinstance(error, GatedRepoError):  # a kind of RepositoryNotFoundError
        return gated_reason(source)
    if isinstance(error, RepositoryNotFoundError):
        hint = "Correct the id, or set HF_TOKEN if it is private."
        raise HarnessError(f'the hub has no {kind} "{source}"', hint=hint) from None
    if isinstance(error, RevisionNotFoundError):
        text = f'{kind} "{source}" has no revision "{revision}" on the hub'
        raise HarnessError(text) from None
    return uncached_reason(source) if isinstance(error, LocalEntryNotFoundError) else None


def gated_reason(source: str) -> str:
    """Why a gated model is skipped, and what to do."""
    return f"{source} is gated: accept its licence on its page, then set HF_TOKEN"


def uncached_reason(source: str) -> str:
    """Why a model is skipped that is neither here nor can be fetched."""
    off = "the hub is switched off" if is_offline() else "the hub cannot be reached"
    return f"{source} is not in the local cache and {off}"
