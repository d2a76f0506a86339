"""A folder to a repository on the hub.

The token is the libraries' business: it is never read here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from harness.errors import HarnessError
from harness.plan.hub import is_offline
from harness.secret_texts import without_secrets
from harness.sharing.draft import CARD, SHARED, SUITE, Draft

LOG_IN = "Log in with `hf auth login`, or set HF_TOKEN, with a token that may write there."


@dataclass(frozen=True)
class Repository:
    """A repository that is there already."""

    name: str
    commit: str | None
    private: bool

    @property
    def what(self) -> str:
        """It, in words for a question."""
        return f"{self.name} exists and is {'private' if self.private else 'public'}"


def find_repository(name: str) -> Repository | None:
    """The model repository ``name`` on the hub; None if there is none that you may see.

    Raises:
        HarnessError: the name cannot be one, or the hub cannot be asked.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    check_name(name)
    with _hub_errors(name):
        try:
            found = HfApi().model_info(name)
        except RepositoryNotFoundError as error:
            if type(error) is not RepositoryNotFoundError:
                raise  # gated: it is there
            return None
    return Repository(name, found.sha, bool(found.private))


def check_name(name: str) -> None:
    """Refuse what cannot be a repository's id.

    Raises:
        HarnessError: it is not `owner/name` in the hub's characters.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
        is_right = name.count("/") == 1
    except HFValidationError:
        is_right = False
    if not is_right:
        hint = "Write owner/name: letters, digits, `-`, `_` and `.`, 96 at most."
        raise HarnessError(f'"{name}" cannot be a repository on the hub', hint=hint)


def upload(draft: Draft, there: Repository | None, *, public: bool) -> str:
    """Upload ``draft`` in one commit, and return the commit's address.

    Of a repository that is ``there``, files of the kinds that are shared are replaced, and others
    stay; its visibility stays too. A commit that somebody made meanwhile is not overwritten.

    Raises:
        HarnessError: the hub refuses it, or cannot be reached.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    with _hub_errors(draft.repository):
        if there is None:
            api.create_repo(draft.repository, private=not public)
        made = api.upload_folder(
            repo_id=draft.repository,
            folder_path=draft.folder,
            commit_message="Upload by finetune-harness",
            delete_patterns=[*SHARED, CARD, SUITE] if there else None,
            parent_commit=there.commit if there else None,
        )
    return str(made.commit_url)


@contextmanager
def _hub_errors(name: str) -> Iterator[None]:
    """The hub's errors as one line each: what it refused, and what to do."""
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    if is_offline():
        what = "the hub is switched off by HF_HUB_OFFLINE"
        raise HarnessError(what, hint="Unset it, or write the folder with --dry-run.")
    try:
        yield
    except HfHubHTTPError as error:
        raise _refused(name, error) from None
    except (*_network_errors(), OfflineModeIsEnabled, OSError) as error:
        what = f"the hub cannot be reached: {_one_line(error)}"
        raise HarnessError(what, hint="Nothing was overwritten; try again.") from None


def _network_errors() -> tuple[type[Exception], ...]:
    """What the hub's HTTP client raises: huggingface_hub has changed it from httpx to httpx2."""
    clients = (sys.modules.get(name) for name in ("httpx", "httpx2"))
    return tuple(client.HTTPError for client in clients if client is not None)


def _refused(name: str, error: Any) -> HarnessError:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return HarnessError(f"the hub gives no right to write to {name}", hint=LOG_IN)
    if status in (409, 412):
        what = f"{name} was changed by somebody meanwhile"
        return HarnessError(what, hint="Look at it, then push again.")
    return HarnessError(f"the hub refused {name}: {_one_line(error)}")


def _one_line(error: Exception) -> str:
    words = " ".join(str(error).split()) or type(error).__name__
    return without_secrets(words)[:300]
