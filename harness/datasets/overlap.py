"""How many test prompts are also in training: exactly after normalising, or nearly.

Parts of a prompt that most rows share, such as a system message, are left out of the comparison.
"""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from harness.datasets.example import Example
from harness.datasets.near import EXACT_PAIRS, NEAR_DUPLICATE, near_by_minhash, near_by_pairs
from harness.datasets.rows import normalised

VERSION = 1
"""Raise it when the same prompts are counted differently; it is part of the cache's key."""
WARN_SHARE = 0.05
"""A test is doubtful if this share of its prompts nearly repeats a training prompt."""


@dataclass(frozen=True)
class Overlap:
    """Test prompts that are in training too."""

    exact: int
    """Equal after normalising."""
    near: int
    """Not equal, and at least `NEAR_DUPLICATE` similar to a training prompt."""
    tested: int
    """Test prompts in all."""
    method: str = "pairs"
    """`pairs`: every pair was compared; `minhash`: candidates were."""

    @property
    def exact_share(self) -> float:
        """Of the test prompts."""
        return self.exact / self.tested if self.tested else 0.0

    @property
    def near_share(self) -> float:
        """Of the test prompts."""
        return self.near / self.tested if self.tested else 0.0

    def record(self) -> dict[str, int | float | str]:
        """As it is kept in a result, under `data.overlap`."""
        shares = {"exact_share": self.exact_share, "near_share": self.near_share}
        return {**asdict(self), **shares, "threshold": NEAR_DUPLICATE}


def overlap_of(
    train: Sequence[Example], test: Sequence[Example], *, cache: Path | None = None
) -> Overlap:
    """The test prompts that are in training, counted once for all cells that share ``cache``."""
    place = None if cache is None else cache / f"{_key(train, test)}.json"
    stored = None if place is None else _stored(place)
    if stored is not None:
        return stored
    found = _counted(*_compared(train, test))
    if place is not None:
        _store(place, json.dumps(asdict(found)))
    return found


def repeats_note(train: Sequence[Example], test: Sequence[Example]) -> str | None:
    """What to say of test prompts that training repeats, before anything is trained.

    None where a report would not warn, and for sets too large to count in a second.
    """
    if len(train) * len(test) > EXACT_PAIRS:
        return None
    found = overlap_of(train, test)
    if not found.exact and found.near < WARN_SHARE * found.tested:
        return None
    repeated = found.exact + found.near
    verb = "repeats" if repeated == 1 else "repeat"
    verb = verb if found.exact else f"nearly {verb}"
    some = f" ({found.near} of them nearly)" if found.exact and found.near else ""
    prompts = "prompt" if repeated == 1 else "prompts"
    return (
        f"{repeated} test {prompts} {verb} a training prompt{some}:"
        " `group_by` keeps related rows together"
    )


def _compared(train: Sequence[Example], test: Sequence[Example]) -> tuple[list[str], list[str]]:
    """The normalised prompts of both sides, without the parts that most rows have alike.

    A system message or an instruction that every row repeats makes any two prompts similar, and
    says nothing of whether the rest is.
    """
    counts = Counter(part for example in train for part in set(example.parts))
    shared = {part for part, count in counts.items() if count > len(train) / 2}

    def text(example: Example) -> str:
        own = "\n".join(part for part in example.parts if part not in shared)
        return normalised(own or example.asked)

    return [text(example) for example in train], [text(example) for example in test]


def _key(train: Sequence[Example], test: Sequence[Example]) -> str:
    digest = sha256(f"{VERSION}/{NEAR_DUPLICATE}".encode())
    for side in (train, test):
        digest.update(b"/")
        for example in side:
            digest.update(example.id.encode())
    return digest.hexdigest()[:16]


def _stored(place: Path) -> Overlap | None:
    """The count in ``place``; None where there is none, or a torn one: it is counted again."""
    try:
        return Overlap(**json.loads(place.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _store(place: Path, text: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    # two workers may count at the same time, on two nodes also under the same process number
    draft = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(place)


def _counted(train: list[str], test: list[str]) -> Overlap:
    seen = set(train)
    rest = [text for text in test if text not in seen]
    exact = len(test) - len(rest)
    known = sorted(seen)
    if len(rest) * len(known) <= EXACT_PAIRS:
        return Overlap(exact, near_by_pairs(rest, known), len(test))
    return Overlap(exact, near_by_minhash(rest, known), len(test), "minhash")
