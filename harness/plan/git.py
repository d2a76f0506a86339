"""What git knows of a folder, asked so that nothing of the repository's own settings runs.

A repository that was unpacked or shared brings its own `.git/config`, and git runs commands from
it: `core.fsmonitor` and the filters of `.gitattributes` at every `git status`, textconv and the
pager at every `git show`. Commands of the user's own configuration are kept: those are trusted.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from harness.errors import HarnessError
from harness.results.records import Git

SECONDS = 30
"""Longest that git may take."""
NO_COMMANDS = {
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.pager": "cat",
    "core.sshCommand": "false",
    "core.askPass": "",
    "core.alternateRefsCommand": "",
    "credential.helper": "",
    "diff.external": "",
    "gpg.program": "false",
    "log.showSignature": "false",
    # a partial clone would fetch what it lacks, by commands that the repository names
    "protocol.allow": "never",
}
"""Settings that name a command for what is asked here, each with a value that names none."""
LOCAL = ("local", "worktree")
"""Scopes of settings that come with a repository."""


def git_state(folder: Path) -> Git | None:
    """The revision of ``folder``, and whether tracked files differ; None where git cannot say."""
    try:
        filters = _filters(folder)
        revision = _git(folder, "rev-parse", "HEAD").strip()
        # submodules have settings of their own, and git would run a second git in each
        words = ("status", "--porcelain", "-uno", "--ignore-submodules=all")
        return Git(revision=revision, dirty=bool(_git(folder, *words, settings=filters).strip()))
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def git_file(path: Path, reference: str) -> str:
    """The text of the file ``path`` at the revision ``reference``.

    Raises:
        HarnessError: git cannot show it, or there is no git.
    """
    folder, name = path.resolve().parent, path.name
    hint = "Fetch the reference first (`git fetch`), or give --against a baseline file."
    if not reference or reference.startswith("-") or "\0" in f"{reference}{name}":
        what = f'"{reference}" is no reference, such as main or a commit'
        raise HarnessError(what, where="--against git:…", hint=hint)
    try:
        # `cat-file`, not `show`: no pager, no text conversion, no option in a reference's place
        return _git(folder, "cat-file", "blob", f"{reference}:./{name}")
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines() or ["git failed"]
        what = f"git cannot show {path} at {reference}: {said[-1]}"
        raise HarnessError(what, hint=hint) from None


def _git(folder: Path, *words: str, settings: dict[str, str] | None = None) -> str:
    """What ``git words`` prints in ``folder``."""
    options = [f"{key}={value}" for key, value in {**NO_COMMANDS, **(settings or {})}.items()]
    command = ["git", "--no-pager", "--no-optional-locks", "-C", str(folder)]
    command += [part for option in options for part in ("-c", option)]
    safe = {"GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1"}
    found = subprocess.run(
        [*command, *words], capture_output=True, text=True, timeout=SECONDS, check=True,
        env={**os.environ, **safe}, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return found.stdout


def _filters(folder: Path) -> dict[str, str]:
    """The repository's own filters, each set to no command; the user's, such as LFS, stay."""
    try:
        text = _git(folder, "config", "--show-scope", "--name-only", "--get-regexp", r"^filter\.")
    except subprocess.CalledProcessError as error:
        if error.returncode == 1:  # nothing matches
            return {}
        raise
    pairs = (line.split("\t", 1) for line in text.splitlines())
    named = [key for scope, key in pairs if scope in LOCAL]
    # a required filter without a command is an error, so that is switched off, too
    return {key: "false" if key.endswith(".required") else "" for key in named}
