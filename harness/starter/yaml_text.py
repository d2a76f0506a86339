"""YAML as a first suite has it: texts that are read back as they were, comments, lists."""

from __future__ import annotations

import json
import re
import textwrap

WIDTH = 88
_PLAIN = re.compile(r"(?:\.{1,2}/)*[A-Za-z_][\w./-]*")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
"""Words that a YAML reader may take for something else than text."""


def scalar(value: str) -> str:
    """``value`` as YAML reads it back as the same text."""
    if _PLAIN.fullmatch(value) and value.casefold() not in _WORDS and value.isascii():
        return value
    text = json.dumps(value, ensure_ascii=False)
    # YAML folds NEL, LS and PS like line breaks, and refuses other unprintable characters
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def comment(text: str, indent: int) -> list[str]:
    """``text`` as comment lines."""
    lead = f"{' ' * indent}# "
    one_line = " ".join(scalar(word)[1:-1] if not word.isprintable() else word
                        for word in text.split())  # fmt: skip
    return textwrap.wrap(one_line, WIDTH, initial_indent=lead, subsequent_indent=lead)


def flow(key: str, items: tuple[str, ...], indent: str) -> list[str]:
    """``key`` with ``items``, in one line or a line each."""
    inner = ", ".join(map(scalar, items))
    if len(indent) + len(key) + len(inner) + 4 <= WIDTH:
        return [f"{indent}{key}: [{inner}]"]
    return [f"{indent}{key}:", *(f"{indent}  - {scalar(item)}" for item in items)]
