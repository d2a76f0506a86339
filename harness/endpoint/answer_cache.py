"""Answers of servers, kept on disk: what was asked once is not paid for twice.

The key of an answer is what was asked: the model's name, the messages and every setting, but not
the address, so that a server may move. A name does not say which weights lie behind it, so an
answer is kept with what the server said it was, and `harness.endpoint.asking` asks some again
before it believes the rest.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from harness.endpoint.chat import Reply
from harness.user_path import expanded_if_known

FOLDER = "HARNESS_CACHE"
"""The environment variable that names another folder than ``~/.cache/finetune-harness``."""
OFF = "HARNESS_NO_ANSWER_CACHE"
"""The environment variable that switches the cache off, for all endpoints of a run."""
PATIENCE_S = 30.0
"""Seconds to wait for another process that writes: a write takes milliseconds."""


class AnswerCache:
    """Answers in an SQLite file; shared by threads of this process, and by processes.

    A file that cannot be used costs its answers, never the run: ``problem`` then says why, and
    nothing is found or kept.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem: str | None = None
        """Why the file is not used; None while it is."""
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        try:
            self._connection = _opened(path)
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)

    def get(self, key: str) -> Reply | None:
        """The answer under ``key``; None where there is none."""
        rows = self._run("SELECT reply FROM answers WHERE key = ?", key)
        try:
            return Reply.model_validate_json(rows[0][0]) if rows else None
        except ValidationError:  # of another version: asked again, and overwritten
            return None

    def put(self, key: str, reply: Reply) -> None:
        """Keep ``reply`` under ``key``, in place of an earlier one."""
        self._run("INSERT OR REPLACE INTO answers VALUES (?, ?)", key, reply.model_dump_json())

    def _run(self, statement: str, *values: str) -> list[tuple[str]]:
        with self._lock:
            if self._connection is None:
                return []
            try:
                with self._connection:
                    return self._connection.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                self._give_up(error)
                return []

    def _give_up(self, error: Exception) -> None:
        self._connection = None
        there = "delete the file" if self.path.is_file() else f"name another folder in {FOLDER}"
        self.problem = f"the answer cache {self.path} cannot be used ({error}); {there}"


def _opened(path: Path) -> sqlite3.Connection:
    if str(path).startswith("~"):
        raise OSError("you have no home folder")
    # answers may quote private data: the folder and its file are for you alone
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    connection = sqlite3.connect(path, timeout=PATIENCE_S, check_same_thread=False)
    # readers do not wait for a writer; where a file system cannot do it, SQLite keeps its old way
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, reply TEXT)")
    return connection


def default_path() -> Path:
    """The cache's file in your cache folder."""
    own = os.environ.get(FOLDER)
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(own) if own else Path(base) / "finetune-harness"
    return expanded_if_known(folder) / "answers.sqlite"  # without a home folder, nothing is cached


def is_switched_off() -> bool:
    """Whether the environment switches the cache off."""
    return os.environ.get(OFF, "").lower() in {"1", "true", "yes", "on"}


def key_of(model: str, path: str, body: Mapping[str, object], *, repeat: str = "") -> str:
    """The key of what is asked of ``model`` at ``path``.

    Args:
        model: The model's name on the server.
        path: `chat/completions` or `completions`.
        body: The messages or the prompt, and every setting.
        repeat: Which repetition of the question this is: its answer is another draw.
    """
    # in ASCII: a question may hold half of a character, which UTF-8 has no bytes for
    text = json.dumps([model, path, body, repeat], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
