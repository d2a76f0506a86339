"""Hub, caches, disk and tools: what a run reads, writes and calls besides models."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from harness.doctor.finding import Finding
from harness.extras import EXTRA_OF, how, is_installed
from harness.plan.hub import ENDPOINT, SWITCH, cache_folders, has_token, is_offline, is_reachable

LITTLE_GIB = 5.0
"""Free disk below which one model of 1 B parameters with its cache of data may not fit."""
COUNTING = 5.0
"""Seconds for adding up a cache's files: one of terabytes on a network disk takes many minutes."""
BROWSERS = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome",
    "microsoft-edge",
)  # fmt: skip
"""As `report/pdf.py` tries them, which lies above this package."""


def findings(folder: Path) -> Iterator[Finding]:
    """The hub, each cache, the disk under ``folder``, and tools."""
    yield from _hub()
    for name, place in cache_folders().items():
        yield _cache(name, place)
    yield _disk("runs", folder)
    yield from _tools()
    yield from _extras()


def _hub() -> Iterator[Finding]:
    address = os.environ.get("HF_ENDPOINT", ENDPOINT)
    shown = address.rpartition("@")[2] if "@" in address else address.removeprefix("https://")
    facts = {"endpoint": shown, "offline": is_offline()}
    if is_offline():
        text = f"switched off by {SWITCH}: cached models and data alone"
        yield Finding("hub", "reach", "note", text, facts=facts)
    elif is_reachable():
        yield Finding("hub", "reach", "ok", f"{shown} answers", facts={**facts, "reachable": True})
    else:
        hint = "Set HF_ENDPOINT or HTTPS_PROXY, or HF_HUB_OFFLINE=1 to use the cache alone."
        text = f"{shown} does not answer: only cached models and data can be used"
        yield Finding("hub", "reach", "warn", text, hint, {**facts, "reachable": False})
    token = has_token()
    text = "a token is set or stored" if token else "no token: gated and private models are skipped"
    hint = "" if token else "`hf auth login`, or set HF_TOKEN."
    yield Finding("hub", "token", "ok" if token else "note", text, hint, {"token": token})


def _cache(name: str, place: Path) -> Finding:
    problem = unwritable(place)
    size, whole = _size(place)
    facts = {"path": str(place), "gib": round(size / 2**30, 2), "counted_whole": whole}
    if problem:
        hint = f"Make it writable, or set {_VARIABLE[name]} to a folder that is."
        return Finding("caches", name, "fail", f"{place}: {problem}", hint, facts)
    more = "" if whole else "more than "
    return Finding("caches", name, "ok", f"{place}: {more}{size / 2**30:.1f} GiB", facts=facts)


_VARIABLE = {"models": "HF_HUB_CACHE", "data sets": "HF_DATASETS_CACHE"}


def unwritable(place: Path) -> str | None:
    """Why nothing can be written to ``place`` (or made there); None if it can."""
    if place.is_symlink() and not place.exists():
        return "is a link that leads nowhere"
    there = _nearest(place)
    if not there.is_dir():
        return f"{there} is no folder"
    try:
        with tempfile.TemporaryFile(dir=there):
            return None
    except OSError as error:
        return f"cannot be written to: {error.strerror or error}"


def _nearest(place: Path) -> Path:
    """``place``, or the nearest folder above it that is there."""
    while not place.exists() and place != place.parent:
        place = place.parent
    return place


def _size(place: Path) -> tuple[int, bool]:
    """Bytes of the files under ``place``, and whether all were counted in time."""
    total, end = 0, time.monotonic() + COUNTING
    for folder, _, names in os.walk(place):
        for name in names:
            try:
                # a cache's snapshots are links into its blobs: only the blobs take room
                total += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118
            except OSError:
                continue
        if time.monotonic() > end:
            return total, False
    return total, True


def _disk(name: str, folder: Path) -> Finding:
    free = free_gib(folder)
    facts = {"free_gib": round(free, 1)}
    problem = unwritable(folder)
    if problem:
        return Finding("disk", name, "fail", f"{folder}: {problem}", "Choose another -o.", facts)
    text = f"{free:.1f} GiB free under {folder.absolute()}"
    if free < LITTLE_GIB:
        return Finding("disk", name, "warn", text, "Free some, or set -o and HF_HOME.", facts)
    return Finding("disk", name, "ok", text, facts=facts)


def free_gib(folder: Path) -> float:
    """Free disk where ``folder`` is, or will be, in GiB."""
    # not `resolve`, which fails on links that lead in a circle
    return shutil.disk_usage(_nearest(folder.absolute())).free / 2**30


def _tools() -> Iterator[Finding]:
    try:
        done = subprocess.run(
            ["git", "--version"], capture_output=True, text=True, timeout=10, check=True
        )
        yield Finding("tools", "git", "ok", done.stdout.strip().removeprefix("git version "))
    except (OSError, subprocess.SubprocessError):
        text = "not found: results will not name the revision of your suite"
        yield Finding("tools", "git", "note", text, "Install git.")
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found:
        yield Finding("tools", "browser", "ok", f"{found}: `harness report --pdf` works")
    else:
        text = "no Chromium: no PDF; the page itself needs none"
        yield Finding("tools", "browser", "note", text, "Install Chromium or Google Chrome.")
    if is_installed("vl_convert"):
        yield Finding("tools", "vl-convert", "ok", "charts as pictures in Markdown reports")
    else:
        text = "not installed: Markdown reports have no pictures"
        yield Finding("tools", "vl-convert", "note", text, "pip install vl-convert-python")


def _extras() -> Iterator[Finding]:
    extras: dict[str, list[str]] = {}
    for module, extra in EXTRA_OF.items():
        extras.setdefault(extra, []).append(module)
    for extra, modules in extras.items():
        missing = [module for module in modules if not is_installed(module)]
        facts = {"installed": not missing, "missing": missing}
        if missing:
            text = f"not installed: {', '.join(missing)}"
            yield Finding("extras", extra, "note", text, how(missing[0]), facts)
        else:
            yield Finding("extras", extra, "ok", "installed", facts=facts)
