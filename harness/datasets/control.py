"""A control set: what a model could do before, outside the domain it is tuned on.

`everyday` is written by the project: 80 beginnings of plain English sentences, each with the ending
that makes sense and one that does not ("It was raining, so he opened his" / "umbrella." /
"window."). The trap in it: it is short, and shows gross forgetting only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from harness.datasets.example import digest
from harness.datasets.file_hash import file_hash
from harness.datasets.text_encoding import decoded
from harness.errors import HarnessError
from harness.user_path import expanded

BUILT_IN = ("everyday",)


@dataclass(frozen=True, slots=True)
class ControlItem:
    """A beginning, its right ending and a wrong one."""

    id: str
    prompt: str
    reference: str
    wrong: str


def control_path(name: str, folder: Path) -> Path:
    """The file of the control set ``name``: a built-in one, or a path from ``folder``.

    Raises:
        HarnessError: there is no such file.
    """
    if name in BUILT_IN:
        return Path(str(files("harness.datasets"))) / "data" / f"{name}.jsonl"
    path = (folder / expanded(name)).resolve()
    if not path.is_file():
        hint = f"Built in: {', '.join(BUILT_IN)}. Paths start from the suite's folder, {folder}."
        raise HarnessError(f"evaluation.control: no file {path}", hint=hint)
    return path


def control_hash(name: str, folder: Path) -> str:
    """A hash of the control set's content."""
    return file_hash(control_path(name, folder))


def load_control(name: str, folder: Path) -> list[ControlItem]:
    """The items of the control set ``name``.

    Raises:
        HarnessError: the file is absent, it is not UTF-8, or a line is not an item.
    """
    path = control_path(name, folder)
    items = []
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if line.strip():
            items.append(_item(line, path, number))
    if not items:
        raise HarnessError("the control set has no items", where=str(path))
    return items


def _text(path: Path) -> str:
    """The file's text, by its byte order mark or as UTF-8, as of every data file."""
    try:
        return decoded(path.read_bytes(), str(path))
    except HarnessError as error:  # its hint is of data sets, which have a setting for it
        raise HarnessError(error.what, where=error.where, hint="Save the file as UTF-8.") from None


def _item(line: str, path: Path, number: int) -> ControlItem:
    try:
        record = json.loads(line)
        texts = [str(record[key]) for key in ("prompt", "reference", "wrong")]
        digest(*texts)  # a lone surrogate is valid JSON, and cannot be hashed or written
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        hint = "A line holds `prompt`, `reference` (the right ending) and `wrong`."
        text = f"not a control item: {type(error).__name__} {error}"
        raise HarnessError(text, where=f"{path}:{number}", hint=hint) from None
    return ControlItem(digest(*texts), *texts)
