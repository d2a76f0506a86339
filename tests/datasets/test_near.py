"""Near duplicates by MinHash against every pair."""

import random

import pytest

from harness.datasets.near import near_by_minhash, near_by_pairs, signatures
from harness.datasets.ru_calculations import generate

WORDS = [
    f"{a}{b}"
    for a in ("mar", "pel", "sun", "tor", "vin", "quo")
    for b in ("ket", "lic", "der", "ato", "est", "iso", "um", "bra")
]
HAN = "市场利率上升债券价格下跌投资者需要关注风险收益流动性公司盈利增长现金资产负债"


def made(rng, length, words):
    return " ".join(rng.choice(words) for _ in range(length))


def changed(text, rng, share):
    words = text.split()
    for k in rng.sample(range(len(words)), max(1, int(share * len(words)))):
        words[k] = rng.choice(WORDS)
    return " ".join(words)


def prose(rng):
    """Long texts, a third of them with some words exchanged."""
    known = [made(rng, 40, WORDS) for _ in range(300)]
    return [changed(t, rng, 0.08) for t in known[:60]] + [
        made(rng, 40, WORDS) for _ in range(120)
    ], known


def templates(rng):
    """Short texts of few templates that differ in their numbers."""
    texts = [row.instruction.lower() for row in generate(400)]
    return texts[:120], texts[120:]


def unspaced(rng):
    known = ["".join(rng.choice(HAN) for _ in range(40)) for _ in range(200)]
    return [t[:20] + "新" + t[21:] for t in known[:50]] + [
        "".join(rng.choice(HAN) for _ in range(40)) for _ in range(50)
    ], known


@pytest.mark.parametrize(("make", "recall"), [(prose, 0.97), (templates, 0.9), (unspaced, 0.97)])
def test_minhash_finds_what_pairs_find_and_nothing_else(make, recall):
    texts, known = make(random.Random(7))
    exact, found = near_by_pairs(texts, known), near_by_minhash(texts, known)
    assert exact > 20
    assert recall * exact <= found <= exact


def test_signatures_do_not_change_from_process_to_process():
    assert signatures(["a b c", ""])[:, :2].tolist() == signatures(["a b c", ""])[:, :2].tolist()
    assert int(signatures(["net profit"])[0, 0]) == int(signatures(["profit net"])[0, 0])


@pytest.mark.parametrize("count", [near_by_pairs, near_by_minhash])
def test_nothing_repeats_nothing(count):
    assert count([], ["a"]) == count(["a"], []) == 0
