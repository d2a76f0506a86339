"""Text in a plain form to search in, with the way back to the characters of the original."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Literal

# Look-alikes that NFKC keeps apart, and characters that have no width.
_SAME = str.maketrans(
    {
        "\u0451": "\u0435",  # the Russian yo is mostly printed as ye
        "\u2212": "-",
        "\u2010": "-",
        "\u2011": "-",
        "\u2019": "'",
        "\u2018": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u00ab": '"',
        "\u00bb": '"',
        "\u00ad": "",
        "\u200b": "",
        "\ufeff": "",
        "\ufe0f": "",  # asks for the emoji shape of the character before it
    }
)
_MEANINGFUL = ("<super>", "<sub>", "<fraction>")


@dataclass(frozen=True)
class Folded:
    """A text in NFKC and lower case; position ``i`` came from ``origin[i]`` of the original."""

    text: str
    origin: tuple[int, ...] | None
    """One entry a character and one for the end; None where nothing moved."""

    def back(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original that ``text[start:end]`` came from."""
        if self.origin is None:
            return start, end
        return self.origin[start], self.origin[end - 1] + 1 if end > start else self.origin[start]


def fold(text: str) -> Folded:
    """The text to search in: NFKC, case-folded, one kind of quotes, dashes as they are."""
    if text.isascii():
        return Folded(text.lower(), None)
    pieces: list[str] = []
    origin: list[int] = []
    start = 0
    while start < len(text):
        end = start + 1
        # A letter and its combining marks compose together ("e" + acute), never alone.
        while end < len(text) and unicodedata.combining(text[end]):
            end += 1
        piece = _plain(text[start:end]).casefold().translate(_SAME)
        pieces.append(piece)
        origin += [start] * len(piece)
        start = end
    origin.append(len(text))
    return Folded("".join(pieces), tuple(origin))


def _plain(piece: str) -> str:
    """NFKC, but a raised or lowered digit and a fraction stay: 2² is not 22, 2½ is not 21/2."""
    kind = unicodedata.decomposition(piece[0]).partition(" ")[0]
    form: Literal["NFC", "NFKC"] = "NFC" if kind in _MEANINGFUL else "NFKC"
    return unicodedata.normalize(form, piece)
