"""Texts that nearly repeat one of others: `rapidfuzz.fuzz.ratio` of at least 90.

Small sets are compared pair by pair. Large ones by MinHash (Broder 1997): words are hashed, rows
that share a band of their signatures are candidates, and `fuzz.ratio` decides; so what is counted
is a near duplicate for certain, and a few may be missed.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Hashes = NDArray[np.uint32]

NEAR_DUPLICATE = 90.0
"""Similarity (0–100) from which two prompts count as near duplicates."""
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
