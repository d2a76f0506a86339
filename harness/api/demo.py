"""Two variants of a run live, side by side: their page, its votes, and an app of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.api.arguments import RunLike, StrPath, refuse_packed, run_of
from harness.extras import need
from harness.results.result import CellResult
from harness.results.run import Run

if TYPE_CHECKING:
    from harness.analysis.votes import VoteTable
    from harness.demo.export import Exported


def demo(
    run: RunLike,
    *,
    cells: Sequence[str] = (),
    port: int | None = None,
    browser: bool = True,
    loading: Callable[[Sequence[str]], None] = lambda keys: None,
    ready: Callable[[str], None] = print,
) -> None:
    """Serve a page on which two variants of ``run`` answer side by side, until Ctrl-C.

    Only this machine reaches it. Votes go to the run's ``votes.jsonl``; see `votes`.

    Args:
        run: A run's directory.
        cells: The beginnings of two cells' keys; default: a baseline, and the variant that the
            report says to ship.
        port: The port; default: the first free one from 7860 on.
        browser: Open the page in a browser.
        loading: Called with the keys of the two cells when nothing is left to refuse, before
            their models are loaded.
        ready: Called with the page's address when it answers.

    Raises:
        HarnessError: Gradio is not installed, the run is packed, a cell or its adapter is not
            there, or the port is taken.
    """
    from harness.demo.server import serve
    from harness.demo.variants import askable

    need("`harness demo`", "gradio")
    read = _own_directory(run)
    there = askable(read)
    pair = _pair(read, there, cells)
    serve(read, there, pair, port=port, browser=browser, loading=loading, ready=ready)


def export_demo(
    run: RunLike, folder: StrPath, *, cells: Sequence[str] = (), questions: int = 0
) -> Exported:
    """Write an app that asks two variants of ``run`` to ``folder``, for a Space of the hub.

    It runs without the harness: ``app.py``, the settings and adapters of both variants, the
    versions that they were evaluated with, and a README with the Space's front matter.

    Args:
        run: A run's directory.
        folder: A new folder, or an empty one.
        cells: The beginnings of two cells' keys; default: as of `demo`.
        questions: How many questions of the test set the app offers: whoever sees it reads them.

    Raises:
        HarnessError: the folder has files, a cell or its adapter is not there, or it is one that
            the app cannot load.
    """
    from harness.demo.export import export_app
    from harness.demo.variants import askable

    read = _own_directory(run)
    pair = _pair(read, askable(read), cells)
    return export_app(read, pair, Path(folder), questions=questions)


def _own_directory(run: RunLike) -> Run:
    """The run, which must not be packed: that has no adapter, and no place for votes."""
    refuse_packed(run, "a packed run has no adapters", "Give the run's own directory.")
    return run_of(run)


def _pair(
    run: Run, there: Sequence[CellResult], names: Sequence[str]
) -> tuple[CellResult, CellResult]:
    from harness.demo.variants import chosen_cell, default_pair

    if not names:
        return default_pair(run, there)
    first, second = (chosen_cell(run, name) for name in names)
    return first, second


def votes(run: RunLike) -> VoteTable:
    """What people preferred on the page of `harness demo`, for each pair of variants.

    Args:
        run: A run, or its directory.

    Raises:
        HarnessError: the run's ``votes.jsonl`` is damaged.
    """
    from harness.analysis.votes import count_votes

    return count_votes(run_of(run))
