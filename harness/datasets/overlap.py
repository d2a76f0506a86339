"""How many test prompts are also in training: exactly after normalising, or nearly.

Two prompts are near duplicates when `rapidfuzz.fuzz.ratio` of their normalised texts is at least
90; parts that most rows share, such as a system message, are left out of it. Small sets are
compared pair by pair. Large ones by MinHash (Broder 1997): words are hashed, rows that share a band
of their signatures are candidates, and `fuzz.ratio` decides; so what is counted is a near duplicate
for certain, and a few may be missed.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from harness.datasets.example import Example
from harness.datasets.rows import normalised

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Hashes = NDArray[np.uint32]

VERSION = 1
"""Raise it when the same prompts are counted differently; it is part of the cache's key."""
NEAR_DUPLICATE = 90.0
"""Similarity (0–100) from which two prompts count as near duplicates."""
WARN_SHARE = 0.05
"""A test is doubtful if this share of its prompts nearly repeats a training prompt."""
EXACT_PAIRS = 400_000
"""Up to this many pairs, every pair is compared: a second at most."""
BANDS, BAND_ROWS = 40, 5
"""Two prompts that share 60% of their words meet in a band with probability 0.96, at 70% with
0.9995; unrelated ones, which share some 15%, with 0.003."""
PER_BUCKET = 6
"""Most candidates taken from one bucket: thousands of rows of one template all fall into one."""
LEAST_SHARED = 0.4
"""Candidates are compared if at least this share of their signatures agrees."""
COMPARED = 32
"""Most candidates compared per test prompt: those that share the most bands."""
CHUNK_TOKENS = 20_000
"""Words hashed at a time: 16 MB for 200 hashes."""
CHUNK_PAIRS = 20_000
"""Pairs of signatures compared at a time, likewise."""
UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
"""Scripts without spaces between words (Thai, Lao, Burmese, Khmer, Kana, Han)."""


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
    draft = place.with_suffix(f".{os.getpid()}")  # two workers may count at the same time
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


def near_by_pairs(texts: Sequence[str], known: Sequence[str]) -> int:
    """How many of ``texts`` nearly repeat one of ``known``: every pair is compared."""
    from rapidfuzz import fuzz, process

    if not texts or not known:
        return 0
    near = 0
    step = max(1, EXACT_PAIRS // len(known))
    for first in range(0, len(texts), step):
        part = texts[first : first + step]
        scores = process.cdist(part, known, scorer=fuzz.ratio, score_cutoff=NEAR_DUPLICATE)
        near += int((scores.max(axis=1) >= NEAR_DUPLICATE).sum())
    return near


def near_by_minhash(texts: Sequence[str], known: Sequence[str]) -> int:
    """The same among candidates: pairs whose MinHash signatures share a band."""
    from rapidfuzz import fuzz

    if not texts or not known:
        return 0
    ours, theirs = signatures(texts), signatures(known)
    near = 0
    for index, candidates in _ranked(ours, theirs):
        text = texts[index]
        near += any(
            fuzz.ratio(text, known[k], score_cutoff=NEAR_DUPLICATE) >= NEAR_DUPLICATE
            for k in candidates
        )
    return near


def signatures(texts: Sequence[str]) -> Hashes:
    """One row a text: the least value of each hash over its words."""
    import numpy as np

    rng = np.random.default_rng(0)  # fixed: a count must not change from run to run
    hashes = BANDS * BAND_ROWS
    factors = (rng.integers(0, 2**31, hashes, dtype=np.uint32) * 2 + 1)[:, None]
    shifts = rng.integers(0, 2**32, hashes, dtype=np.uint32)[:, None]
    found = np.empty((len(texts), hashes), dtype=np.uint32)
    first = 0
    for words, starts in _chunks(texts):
        values = np.array(words, dtype=np.uint32) * factors  # wraps: multiply-shift hashing
        values += shifts
        least = np.minimum.reduceat(values, starts, axis=1)
        found[first : first + len(starts)] = least.T
        first += len(starts)
    return found


def _chunks(texts: Sequence[str]) -> Iterator[tuple[list[int], list[int]]]:
    """Hashed words of some texts at a time, and where each text begins among them."""
    words: list[int] = []
    starts: list[int] = []
    for text in texts:
        starts.append(len(words))
        # CRC and not `hash`, whose values differ from process to process.
        words += [zlib.crc32(word.encode()) for word in _words(text)] or [0]
        if len(words) >= CHUNK_TOKENS:
            yield words, starts
            words, starts = [], []
    if starts:
        yield words, starts


def _words(text: str) -> list[str]:
    if not text.isascii() and UNSPACED.search(text):
        return [text[k : k + 2] for k in range(len(text))]
    return text.split()


def _ranked(ours: Hashes, theirs: Hashes) -> Iterator[tuple[int, list[int]]]:
    """Each row of ``ours`` that has candidates, with these, the most similar first."""
    import numpy as np

    pairs = _similar(_candidates(ours, theirs), ours, theirs)
    count = len(theirs)
    rows = pairs // count
    bounds = np.flatnonzero(np.diff(rows, prepend=-1, append=-1)).tolist()
    for start, stop in pairwise(bounds):
        yield int(rows[start]), (pairs[start:stop] % count).tolist()


def _candidates(ours: Hashes, theirs: Hashes) -> Ints:
    """At most `COMPARED` pairs a row, ``row of ours * rows of theirs + row of theirs``.

    Those that share the most bands come first.
    """
    import numpy as np

    met = np.concatenate([_band_pairs(ours, theirs, band) for band in range(BANDS)])
    pairs, bands = np.unique(met, return_counts=True)
    rows = pairs // len(theirs)
    order = np.lexsort((-bands, rows))
    rows = rows[order]
    first = np.searchsorted(rows, rows, side="left")
    kept: Ints = pairs[order][np.arange(len(rows)) - first < COMPARED]
    return kept


def _similar(pairs: Ints, ours: Hashes, theirs: Hashes) -> Ints:
    """The ``pairs`` whose signatures agree in `LEAST_SHARED` at least."""
    import numpy as np

    kept = np.empty(len(pairs), dtype=bool)
    for first in range(0, len(pairs), CHUNK_PAIRS):
        part = slice(first, first + CHUNK_PAIRS)
        mine, known = np.divmod(pairs[part], len(theirs))
        kept[part] = (ours[mine] == theirs[known]).mean(axis=1) >= LEAST_SHARED
    found: Ints = pairs[kept]
    return found


def _band_pairs(ours: Hashes, theirs: Hashes, band: int) -> Ints:
    """Pairs that are equal in ``band``, at most `PER_BUCKET` of a row."""
    import numpy as np

    mine, known = (_bucket(side, band) for side in (ours, theirs))
    order = np.argsort(known, kind="stable")
    known = known[order]
    low, high = (np.searchsorted(known, mine, side=side) for side in ("left", "right"))
    size = high - low
    met = np.flatnonzero(size)
    low, size = low[met, None], size[met, None]
    offsets = np.arange(PER_BUCKET)
    # Of a bucket that holds more, rows are taken at even distances, begun elsewhere in each band.
    spread = (offsets * size // PER_BUCKET + band * 7919) % np.maximum(size, 1)
    chosen = low + np.where(size > PER_BUCKET, spread, offsets)
    inside = offsets < np.minimum(size, PER_BUCKET)
    rows = np.broadcast_to(met[:, None], chosen.shape)[inside]
    pairs: Ints = rows * len(theirs) + order[chosen[inside]]
    return pairs


def _bucket(side: Hashes, band: int) -> NDArray[np.uint64]:
    """One number for the hashes of a band: equal bands give equal numbers."""
    import numpy as np

    columns = side[:, band * BAND_ROWS : (band + 1) * BAND_ROWS].astype(np.uint64)
    value = np.zeros(len(side), dtype=np.uint64)
    for column in columns.T:
        value = value * np.uint64(0x9E3779B97F4A7C15) + column  # 2^64 / golden ratio, Knuth
    return value
