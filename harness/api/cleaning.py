"""Cleaning up: what a run directory holds that its suite does not refer to any more."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from harness.api.arguments import StrPath
from harness.api.suites import plan
from harness.errors import DamagedFile, HarnessError
from harness.results.leftovers import Leftover, leftovers, remove
from harness.results.paths import RunPaths
from harness.results.reading import read_plan


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
    keys = {decision.key for decision in made.decisions} | set(_planned(made.run))
    return Cleaning(made.run, tuple(leftovers(made.run, keys)))


def _planned(run: RunPaths) -> Collection[str]:
    try:
        cells = read_plan(run.directory, given=str(run.directory))["cells"]
    except FileNotFoundError:
        hint = "Give its directory by -o."
        what = "no plan.json: there is no run of the suite here"
        raise HarnessError(what, where=str(run.directory), hint=hint) from None
    except DamagedFile as error:
        raise HarnessError(f"{error}: nothing is deleted") from None
    return [Path(cell["key"]).parts[0] for cell in cells]
