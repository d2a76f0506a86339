"""Runs commands in this process, thousands of them, and holds what every ending has to keep."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.cli import main

SECONDS = 5
"""Longest that a command may take over a broken input."""
CODES = {0, 2, 3, 4}
"""How a command may end over an input that is not a regression."""


class Hung(BaseException):
    """A command that took too long; no `except Exception` of ours can hide it."""


@contextlib.contextmanager
def limited(seconds: int = SECONDS) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise Hung

    # Seconds of computing, not of the clock: other work on the machine must not fail a test.
    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


class Attempts:
    """Commands over broken inputs: what came of them, and each fault once."""

    def __init__(self, folder: Path) -> None:
        self.runner = CliRunner()
        self.folder = folder
        self.codes: Counter[int] = Counter()
        self.faults: dict[str, str] = {}

    def run(self, *arguments: object, regression: bool = False) -> Result | None:
        """Run a command; a fault is noted with the input that it was given."""
        texts = [str(argument) for argument in arguments]
        try:
            with limited():
                result = self.runner.invoke(main, texts)
        except Hung:
            self._fault("more than 5 s", texts)
            return None
        self.codes[result.exit_code] += 1
        allowed = CODES | ({1} if regression and "regression" in result.output else set())
        if result.exit_code == 70:
            self._fault(self._traceback(), texts)
        elif result.exit_code not in allowed or "Traceback" in result.output:
            self._fault(f"exit code {result.exit_code}: {result.output[-300:]}", texts)
        elif result.exit_code and not result.output.strip():
            self._fault(f"exit code {result.exit_code} without a word", texts)
        return result

    def _traceback(self) -> str:
        text = "?"
        for path in Path(tempfile.gettempdir()).glob("harness-fault-*"):
            text = path.read_text()
            path.unlink()
        lines = text.splitlines()
        ours = [
            line.strip()
            for line in lines
            if "/harness/" in line and line.strip().startswith("File")
        ]
        return f"{lines[-1][:200]} at {ours[-1] if ours else '?'}"

    def _fault(self, what: str, texts: list[str]) -> None:
        if what in self.faults:
            return
        kept = ""
        if keep := os.environ.get("FUZZ_KEEP"):
            import shutil

            place = Path(keep) / str(len(self.faults))
            shutil.copytree(self.folder, place, dirs_exist_ok=True, symlinks=True)
            kept = f" kept in {place}"
        self.faults[what] = f"{' '.join(texts)[:300]}{kept}"

    def check(self) -> None:
        """Fail with every fault that was found."""
        print(f"{sum(self.codes.values())} commands: {dict(self.codes)}")
        # escaped: what was tried may be no text that a report can be sent as
        found = [f"{what}\n    {how}" for what, how in self.faults.items()]
        escaped = "\n".join(found).encode("utf-8", "backslashreplace").decode()
        if escaped:
            pytest.fail(f"{len(found)} faults:\n{escaped}", pytrace=False)


@pytest.fixture
def attempts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Attempts:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return Attempts(folder)
