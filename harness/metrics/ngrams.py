"""How many n-grams the two texts of many pairs share, counted together by NumPy.

A token is a character here: chrF counts characters as they are, and ROUGE gives each word one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a declaration of a metric must not load numpy
    from numpy.typing import NDArray

KEY_BITS = 64


def shared_ngrams(texts: list[str], orders: int) -> list[NDArray[Any]] | None:
    """For each order, how many n-grams each pair of ``texts`` shares, repeated ones counted.

    The longest n-gram at each place becomes one number: the pair, the characters, the side. Sorted,
    equal n-grams of a pair lie side by side, and so do those of every lower order, their prefixes.

    Args:
        texts: The two texts of the first pair, of the second pair, and so on.
        orders: The longest n-gram.

    Returns:
        One array of counts for each order from 1; None where too many characters differ for a
        number of 64 bits.
    """
    import numpy as np

    whole = "".join(texts).encode("utf-32-le", "surrogatepass")  # models do write lone surrogates
    codes = np.frombuffer(whole, np.uint32)
    pairs = len(texts) // 2
    if not len(codes):
        return [np.zeros(pairs) for _ in range(orders)]
    seen = np.zeros(int(codes.max()) + 1, np.bool_)
    seen[codes] = True
    numbers = np.cumsum(seen).astype(np.uint64)  # from 1: 0 stands for "behind the text's end"
    bits = int(numbers[-1]).bit_length()
    if orders * bits + pairs.bit_length() + 1 > KEY_BITS:
        return None
    keys = np.sort(_keys(texts, numbers[codes], orders, bits))
    right = np.concatenate([[0], np.cumsum((keys & np.uint64(1)).astype(np.int64))])
    keys >>= np.uint64(1)
    pair = (keys >> np.uint64(orders * bits)).astype(np.int64)
    last = np.uint64((1 << bits) - 1)
    found = []
    for shorter in reversed(range(orders)):
        grams = keys >> np.uint64(shorter * bits)
        starts = np.flatnonzero(np.concatenate([[True], grams[1:] != grams[:-1]]))
        ends = np.append(starts[1:], len(grams))
        wanted = right[ends] - right[starts]
        hits = np.minimum(ends - starts - wanted, wanted)
        hits *= grams[starts] & last != 0  # the others reach beyond their text's end
        found.append(np.bincount(pair[starts], weights=hits, minlength=pairs))
    return found


def _keys(texts: list[str], characters: NDArray[Any], orders: int, bits: int) -> NDArray[Any]:
    """The number of the longest n-gram at each place of ``texts``, which are ``characters``."""
    import numpy as np

    lengths = np.array([len(text) for text in texts])
    text = np.repeat(np.arange(len(texts), dtype=np.uint64), lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(characters))
    padded = np.concatenate([characters, np.zeros(orders, np.uint64)])
    keys = text >> np.uint64(1)
    for place in range(orders):
        following = padded[place : place + len(characters)]
        if place:  # what follows the end of a text belongs to the next one
            following = following * (left > place)
        keys = keys << np.uint64(bits) | following
    return keys << np.uint64(1) | text & np.uint64(1)
