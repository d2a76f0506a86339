"""Broken versions of good files, the same ones in every run: a seed decides, no clock and no chance.

Three kinds, as faults come in practice: bytes (cut, flipped, another encoding), text (a line lost,
a bracket more) and values (a number where a text belongs, at every place of a record).
"""

from __future__ import annotations

import copy
import json
import os
import random
from collections.abc import Iterator

SEED = int(os.environ.get("HARNESS_SEED", "2"))
"""Of the long series, which `tox -e reliability` runs; CI's short ones keep a seed of their own."""
DIGITS = "9" * 5000
"""Python refuses to read more than 4,300 digits as a whole number, and to print them."""
ODD_VALUES = [
    None, True, False, 0, -1, 1, 3, 0.5, -0.0, 1e308, 2**63, 10**400, float("nan"), float("inf"),
    float("-inf"), "", " ", "x", "0", "null", "nan", "\x00", "\x1b[31m", "\ud800", "a\nb", "[/INST]",
    "../../../../evil", "/etc/passwd", "C:\\evil", "{{ 7 * 7 }}", "=1+1", "é" * 300, "x" * 70_000,
    [], [[]], [None], [1, "a"], ["x"] * 3, {}, {"": None}, {"a": {"b": {}}}, [{"id": 1}],
]  # fmt: skip
"""What JSON can hold and a field is not made for."""
ODD_YAML = [
    "", "~", "yes", "3", "-1", "0", "1.5", "1e999", ".inf", "-.inf", ".nan", DIGITS, f"-{DIGITS}.5",
    "0x" + "f" * 5000, "0b" + "1" * 20000, "0o17", "1_000", "12:30:45", "190:20:30.15", "''", '""',
    "x", "'a\\b'", '"\\0"', '"\\ud800"', '"\\U00110000"', '"\\e[31m"', "2024-13-45", "2024-01-01",
    "2001-12-14t21:59:43.10-05:00", "0001-01-01T00:00:00+23:59", "[]", "{}", "[[]]", "[null]", "[1, a]",
    "{a: {b: c}}", "{1: 2}", "{null: 1}", "{true: x}", "{[a]: b}", "{{a: b}: c}", "{a: 1, a: 2}",
    "&a [*a]", "&a {b: *a}", "*nowhere", "!!binary x", "!!binary aGk=", "!!set {a, b}",
    "!!omap [a: 1]", "!!pairs [a: 1]", "!!python/object/apply:os.system [ls]", "!!int x",
    "!!float x", "!!bool x", "!!timestamp x", "!!null x", "!!str 3", "!custom x", "!!merge x",
    "{<<: 3}", "{<<: [1]}", "{<<: {a: 1}}", "{=: 1}", "[" * 3000, "[" * 900 + "]" * 900,
    "{a: " * 900 + "1" + "}" * 900, "|\n  text", "'../../../../evil'", "/etc/passwd", "'[/INST]'",
    "x" * 70_000, "'{{ 7 * 7 }}'", "- x", "a: b: c", "%TAG", "@x", "`x`", "? x", "? [x]\n: y",
    "'\t'", "\t", "é漢", "'\u2028'", "\ufeff", "{a: &x 1, b: *x}", "'" + "a" * 300 + "'",
]  # fmt: skip
"""What YAML can hold, as it is written, and a key is not made for."""


def bomb(levels: int = 9, width: int = 9) -> str:
    """The billion laughs as YAML: ``width ** levels`` values in a few hundred bytes."""
    rows = ["a0: &a0 [" + ", ".join(["lol"] * width) + "]"]
    rows += [
        f"a{k}: &a{k} [" + ", ".join([f"*a{k - 1}"] * width) + "]" for k in range(1, levels + 1)
    ]
    return "\n".join(rows) + "\n"


def broken_bytes(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """``count`` versions of ``data`` as a disk, a transfer or an editor breaks it."""
    draw = random.Random(seed)
    whole = [b"", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", data[: len(data) // 2], data + data]
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = ""
    for codec in ("utf-16", "utf-16-le", "utf-32", "utf-8-sig", "cp1251", "shift_jis", "utf-7"):
        whole.append(text.encode(codec, "replace") if text else data[::-1])
    whole += [data.replace(b"\n", b"\r\n"), data.replace(b"\n", b"\r"), data.replace(b"\n", b"")]
    yield from whole[:count]
    for _ in range(count - len(whole)):
        yield _changed_bytes(data, draw)


def _changed_bytes(data: bytes, draw: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 5, 30))):
        place, length = draw.randrange(len(changed) + 1), draw.choice((1, 1, 2, 8, 100))
        match draw.randrange(6):
            case 0:
                changed[place : place + length] = draw.randbytes(length)
            case 1:
                del changed[place : place + length]
            case 2:
                changed[place:place] = draw.choice((b"\x00", b"\xff", b"\n", b'"', b"\xed\xa0\x80"))
            case 3:
                changed[place:place] = changed[place : place + length]
            case 4:
                del changed[place:]
            case _:
                changed[place:place] = draw.choice(
                    (b"[", b"{", b"}", b"]", b":", b",", b"NaN", b"1e999")
                )
    return bytes(changed)


def broken_text(text: str, count: int, seed: int) -> Iterator[str]:
    """``count`` versions of ``text`` with lines lost, moved, doubled, or indented otherwise."""
    draw = random.Random(seed)
    for _ in range(count):
        lines = text.splitlines(keepends=True)
        for _ in range(draw.choice((1, 1, 2, 4))):
            place = draw.randrange(len(lines)) if lines else 0
            match draw.randrange(7):
                case 0:
                    del lines[place : place + 1]
                case 1:
                    lines[place:place] = lines[place : place + draw.choice((1, 5))]
                case 2:
                    lines[place:place] = [
                        "  " * draw.randrange(4) + draw.choice(lines or [""]).lstrip()
                    ]
                case 3 if lines:
                    lines[place] = lines[place].replace(":", draw.choice(("", "::", " :", "=")), 1)
                case 4 if lines:
                    lines[place] = (
                        draw.choice((" ", "\t", "- ", "? ", "!!set ", "&a ", "#", "'"))
                        + lines[place]
                    )
                case 5 if lines:
                    head, colon, _ = lines[place].partition(":")
                    lines[place] = f"{head}{colon} {draw.choice(ODD_YAML)}\n"
                case _:
                    draw.shuffle(lines) if draw.random() < 0.2 else lines.reverse()
        yield "".join(lines)


def places(value: object, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every value within ``value``, of at most the first four items of a list."""
    if at:
        yield at
    children: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value[:4]))
    for key, child in children:
        yield from places(child, (*at, key))


def put(value: object, at: tuple[str | int, ...], new: object) -> object:
    """A copy of ``value`` with ``new`` at the path ``at``; `KeyError` (the class) deletes it."""
    changed = copy.deepcopy(value)
    parent = changed
    for key in at[:-1]:
        parent = parent[key]  # type: ignore[index]
    if new is KeyError:
        del parent[at[-1]]  # type: ignore[attr-defined]
    else:
        parent[at[-1]] = new  # type: ignore[index]
    return changed


def broken_values(value: object, count: int, seed: int) -> Iterator[object]:
    """``count`` versions of ``value``, each with something odd at one place or two."""
    draw = random.Random(seed)
    odd = [*ODD_VALUES, KeyError]
    yield from ODD_VALUES[: count // 20]  # instead of the whole
    every = list(places(value))
    for number in range(count - count // 20):
        # every place in turn first, so that a small count still reaches each of them
        at = every[number] if number < len(every) else draw.choice(every)
        changed = put(value, at, draw.choice(odd))
        if draw.random() < 0.15 and isinstance(changed, dict) and (more := list(places(changed))):
            changed = put(changed, draw.choice(more), draw.choice(odd))
        yield changed


def json_of(value: object) -> str:
    """``value`` as Python's JSON writes it, NaN and lone surrogates included."""
    return json.dumps(value, indent=1)
