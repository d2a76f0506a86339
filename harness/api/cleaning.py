"""Cleaning up: what a run directory holds that its suite does not refer to any more."""

from __future__ import annotations

from dataclasses import dataclass

from harness.api.arguments import StrPath
from harness.api.suites import plan
from harness.results.leftovers import Leftover, leftovers, planned_folders, remove
from harness.results.paths import RunPaths


@dataclass(frozen=True)
class Cleaning:
    """What can be deleted of a run directory."""

    run: RunPaths
    found: tuple[Leftover, ...]

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(leftover.size for leftover in self.found)

    def delete(self) -> None:
        """Delete it.

        Raises:
            HarnessError: another process writes to the run directory.
        """
        remove(self.run, self.found)


def to_clean(
    suite: StrPath, *, output: StrPath | None = None, tiny: bool = False, backend: str = "hf"
) -> Cleaning:
    """Find what the run directory of ``suite`` holds that no cell of the suite refers to.

    A cell that the directory's last plan names is kept as well: it may have been made by another
    backend, or by a suite that was edited since.

    Args:
        suite: A suite's path, or the name of a shipped one.
        output: The run directory; default ``runs/<suite>``.
        tiny: It holds the run of the suite's tiny twin.
        backend: The backend that it was run by.

    Raises:
        HarnessError: the suite is wrong, or there is no run of it.
    """
    made = plan(suite, output=output, tiny=tiny, backend=backend)
    keys = {decision.key for decision in made.decisions} | planned_folders(made.run)
    return Cleaning(made.run, tuple(leftovers(made.run, keys)))
