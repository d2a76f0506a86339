"""Bytes of a data file to text: by its mark or as UTF-8, never by guess."""

from __future__ import annotations

import codecs
import io

from harness.errors import HarnessError

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: its mark begins with the same two bytes
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks, each with the codec that reads it."""
NO_FILES = ("idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape")
"""Codecs of Python's that are not encodings of a file: of domain names, of literals in code."""
ALPHABETS = 0x20
"""Scripts with an alphabet lie below U+2000; Chinese and Japanese lie above."""
CANDIDATES = ("cp1251", "cp1252", "koi8-r", "shift_jis", "gb18030")
"""Encodings that are named as likely in a message; a file is never read by one of them unasked."""


class WrongEncoding(HarnessError):
    """The bytes of a file are not in the encoding that it is read with.

    Its hint is that of a suite's data set; a command that reads a file without one writes its own.
    """

    def __init__(self, what: str, *, where: str, likely: str | None) -> None:
        named = f"It looks like {likely}: if so, set `encoding: {likely}`" if likely else (
            "Set `encoding:` to the file's own"
        )  # fmt: skip
        hint = f"{named} in the data set's entry, or save the file as UTF-8."
        super().__init__(what, where=where, hint=hint)
        self.likely = likely
        """The encoding that the bytes look like."""


def decoded(data: bytes, where: str, encoding: str | None = None) -> str:
    """``data`` as text: in ``encoding``, else by its byte order mark, else as UTF-8.

    Raises:
        WrongEncoding: the bytes are not in that encoding; the message names the likely one.
    """
    marked = next((codec for mark, codec in MARKS if data.startswith(mark)), None)
    codec = encoding or marked or "utf-8"
    _refuse_unknown(codec, where)
    try:
        # A declared `utf-8` beside a mark must not leave the mark in the first column's name.
        text = data.decode(codec).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        likely = likely_encoding(data[max(0, error.start - 2000) : error.start + 2000])
        what = f"not {codec}: byte {error.start} cannot be read"
        raise WrongEncoding(what, where=f"{where}:{line}", likely=likely) from None
    if "\x00" in text:
        line = text.count("\n", 0, text.index("\x00")) + 1
        place = f"{where}:{line}"
        likely = _likely_utf_16(data)
        if likely is None:
            hint = "Delete them, or write the file anew: a text has none."
            raise HarnessError("holds NUL characters", where=place, hint=hint)
        raise WrongEncoding("holds NUL characters", where=place, likely=likely)
    return text


def _likely_utf_16(data: bytes) -> str | None:
    """The byte order of UTF-16 without a mark, by the high byte of each character.

    It is zero in Latin text. In Cyrillic it is 4, and below 32 in every alphabet; there it is zero
    in blanks, digits and commas alone. As characters of their own such bytes are rare.
    """
    for name, half in (("utf-16-le", data[1::2]), ("utf-16-be", data[::2])):
        zeros = half.count(0)
        low = sum(byte < ALPHABETS for byte in half) if zeros else 0
        if zeros > len(half) / 4 or low > 0.9 * len(half):
            return name
    return None


def _refuse_unknown(codec: str, where: str) -> None:
    try:
        name = codecs.lookup(codec).name
        io.TextIOWrapper(io.BytesIO(), encoding=codec)  # refuses `base64` and what makes no text
        known = name.replace("_", "-") not in NO_FILES
    except (LookupError, ValueError):  # a name with NUL is a ValueError
        known = False
    if not known:
        hint = "Use Python's names: utf-8, utf-16-le, cp1251, latin-1, …"
        raise HarnessError(f'unknown encoding "{codec}"', where=where, hint=hint)


def likely_encoding(data: bytes) -> str | None:
    """The candidate under which most characters beyond ASCII are letters of one script."""
    best, best_share = None, 0.6
    for name in CANDIDATES:
        try:
            text = data.decode(
                name, errors="strict" if name in ("shift_jis", "gb18030") else "ignore"
            )
        except UnicodeDecodeError:
            continue
        share = _plausible(text)
        if share > best_share:
            best, best_share = name, share
    return best


def _plausible(text: str) -> float:
    """The share of the characters beyond ASCII that such a text has in words.

    Lower case counts most: Cyrillic read by the wrong code page comes out in capitals or accents.
    """
    strange = [char for char in text if char > "\x7f"]
    if not strange:
        return 0.0
    points = 0.0
    for before, char, after in zip(" " + text, text, text[1:] + " ", strict=False):
        latin = any(other.isascii() and other.isalpha() for other in (before, after))
        if "а" <= char <= "я" or char == "ё":
            points += 0 if latin else 1
        elif "А" <= char <= "Я":
            points += 0 if latin else 0.2 if before.isalpha() else 0.9
        elif "\u3040" <= char <= "\u9fff":
            points += 0.8
        elif "à" <= char <= "ÿ":
            # An accented letter of a Latin text has plain ones about it; mojibake has none.
            points += 0.9 if latin else 0.1
    return points / len(strange)
