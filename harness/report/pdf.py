"""The page's printed summary as a PDF, by a Chromium that is installed here."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from harness.errors import HarnessError

BROWSERS = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome",
    "microsoft-edge",
)  # fmt: skip
"""Commands that print a page without a window, in the order in which they are tried."""
SECONDS = 120
"""A page of 1,000 cells prints within a few seconds; a browser that hangs is stopped."""


def browser() -> str:
    """The path of an installed Chromium.

    Raises:
        HarnessError: there is none.
    """
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        hint = (
            "Install Chromium or Google Chrome so that one of these commands is found: "
            f"{', '.join(BROWSERS)}. Or open leaderboard.html in any browser and print it."
        )
        raise HarnessError("no browser to write a PDF with", hint=hint)
    return found


def print_pdf(page: Path, output: Path) -> Path:
    """Print ``page`` to ``output``: the two-page summary, as its style sheet says.

    Raises:
        HarnessError: no browser is installed, or it wrote nothing.
    """
    command = browser()
    # as root, as in most containers, Chromium starts only without its sandbox; the page is ours
    root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as profile:
        arguments = [
            command, "--headless", *root, "--disable-gpu", "--no-first-run",
            f"--user-data-dir={profile}", "--no-pdf-header-footer",
            f"--print-to-pdf={output.resolve()}", page.resolve().as_uri(),
        ]  # fmt: skip
        output.unlink(missing_ok=True)  # what an earlier report left would look like success
        try:
            done = subprocess.run(
                arguments, capture_output=True, text=True, timeout=SECONDS, check=False
            )
            said = done.stderr.strip().splitlines()[-1:]
        except subprocess.TimeoutExpired:
            said = [f"no answer within {SECONDS} s"]
    if not output.is_file():
        raise HarnessError(
            f"{Path(command).name} wrote no PDF", where=str(page), hint="".join(said) or None
        )
    return output
