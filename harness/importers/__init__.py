"""Results of other tools as a run directory, so that reports, comparisons and the gate read them.

`lm_eval` reads the per-sample logs of lm-evaluation-harness, `peft_comparison` the result files of
PEFT's method comparison. What a file does not hold stays missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import HarnessError
from harness.importers import lm_eval, peft_comparison
from harness.importers.imported import Imported, write_run

__all__ = ["import_results"]


def import_results(sources: Sequence[Path], directory: Path, *, name: str) -> list[Imported]:
    """The cells read from ``sources``, written as the run ``name`` to ``directory``.

    Args:
        sources: Files, or folders that are searched for files of a known kind.
        directory: The run directory; it must not hold a run of another origin.
        name: The run's name, as a suite's.

    Raises:
        HarnessError: nothing is recognised, a file is broken, or two files hold the same cell.
    """
    files = [path for source in sources for path in _files(source)]
    found = [
        *lm_eval.read([path for path in files if lm_eval.recognises(path)]),
        *peft_comparison.read([path for path in files if peft_comparison.recognises(path)]),
    ]
    if not found:
        hint = "Known: samples_*.jsonl of lm-evaluation-harness, results of PEFT's comparison."
        raise HarnessError(f"nothing to import in {', '.join(map(str, sources))}", hint=hint)
    write_run(directory, name, found)
    return found


def _files(source: Path) -> list[Path]:
    return (
        sorted(p for p in source.rglob("*.json*") if p.is_file()) if source.is_dir() else [source]
    )
