"""What a cell reads, compared with what it was planned on: nothing is stored under another hash."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.errors import HarnessError
from harness.plan.cell import Cell
from harness.plan.content import changed_words, content_of


def check_inputs(cell: Cell, job: Mapping[str, Any]) -> None:
    """Refuse inputs that were edited since the plan; called when they have been read.

    Raises:
        HarnessError: a file is another one now.
    """
    changed = changed_words(job["content"], content_of(cell))
    if changed:
        what = f"{', '.join(changed)} changed while the suite ran: planned on the earlier text"
        raise HarnessError(what, hint="Run the suite again; it is planned on what is there now.")
