"""Sharing: a cell's adapter or model as a folder, or as a repository on the hub."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.api.arguments import RunLike, StrPath, run_of
from harness.api.cells import one_cell
from harness.errors import HarnessError
from harness.sharing.draft import write_draft
from harness.sharing.hub import check_name, find_repository, upload

__all__ = ["push"]


@dataclass(frozen=True)
class Pushed:
    """What `push` did."""

    repository: str
    files: tuple[str, ...]
    notes: tuple[str, ...]
    """What readers of the card are warned of, and files that were left out."""
    address: str | None = None
    """The address of the commit; None if nothing was uploaded."""
    folder: Path | None = None
    """The folder that was written instead, of a dry run."""


def push(
    run: RunLike,
    cell: str,
    repository: str,
    *,
    public: bool = False,
    overwrite: bool | Callable[[str], bool] = False,
    dry_run: StrPath | None = None,
) -> Pushed:
    """Upload the adapter (or the model) of a cell of ``run``, with tokenizer and model card.

    Args:
        run: A run's directory.
        cell: The beginning of a cell's key; it must name one cell.
        repository: `owner/name` on the hub.
        public: Make a new repository public; one that exists keeps its visibility.
        overwrite: Whether a repository that exists may be overwritten, or who is asked: it gets
            the question.
        dry_run: Write the folder here and upload nothing.

    Raises:
        HarnessError: no such cell, its adapter is gone, the repository exists and may not be
            overwritten, or the hub refuses.
    """
    read = run_of(run)
    result = one_cell(read, cell)
    check_name(repository)
    if dry_run is not None:
        draft = write_draft(read, result, repository, Path(dry_run))
        return Pushed(repository, draft.files, draft.notes, folder=draft.folder)
    with tempfile.TemporaryDirectory(prefix="harness-") as scratch:
        draft = write_draft(read, result, repository, Path(scratch) / "draft")
        there = find_repository(repository)
        if there is not None:
            allowed = (
                overwrite(f"{there.what}: overwrite it?") if callable(overwrite) else overwrite
            )
            if not allowed:
                hint = "Give another name, or allow it: `--yes`, in Python `overwrite=True`."
                raise HarnessError(there.what, hint=hint)
        address = upload(draft, there, public=public)
    return Pushed(repository, draft.files, draft.notes, address=address)
