"""Broken suites: every key of the schema with every odd value, and text as editors break it."""

import itertools
import random

import pytest
import yaml
from mutations import ODD_YAML, SEED, bomb, broken_bytes, broken_text, places, put

from harness.api.suites import schema

BASE = {
    "name": "small",
    "matrix": {
        "model": ["tiny-qwen2"],
        "adapter": [{"name": "lora-r4", "config": {"r": 4, "lora_alpha": 8}}],
        "dataset": [{"name": "ru-calculations", "rows": 160, "train": 48, "test": 12}],
    },
}
MARK = "PUT-IT-HERE"


@pytest.fixture(autouse=True)
def models(attempts, root):
    (attempts.folder / "models").symlink_to(root / "models")


def keys_of(part, defs, at=(), depth=0):
    """The path of every key that the JSON Schema ``part`` allows, lists by their first item."""
    if "$ref" in part:
        part = defs[part["$ref"].rsplit("/", 1)[1]]
    for choice in part.get("anyOf", ()):
        yield from keys_of(choice, defs, at, depth)
    if part.get("type") == "array" and isinstance(part.get("items"), dict):
        yield (*at, 0)
        yield from keys_of(part["items"], defs, (*at, 0), depth + 1)
    for name, child in part.get("properties", {}).items() if depth < 6 else ():
        yield (*at, name)
        yield from keys_of(child, defs, (*at, name), depth + 1)


def with_odd(base, at, odd):
    """``base`` as YAML with the text ``odd`` at the path ``at``, whose parents are made."""
    value = base
    for length in range(1, len(at)):
        value = _grown(value, at[:length], {} if isinstance(at[length], str) else [None])
    text = yaml.safe_dump(_grown(value, at, MARK, replace=True), sort_keys=False)
    return text.replace(MARK, odd)


def _grown(value, at, new, replace=False):
    parent = value
    for key in at[:-1]:
        parent = parent[key]
    fits = isinstance(parent, dict) or len(parent) > at[-1]
    there = fits and (at[-1] in parent if isinstance(parent, dict) else True)
    if there and not replace and isinstance(parent[at[-1]], type(new)):
        return value
    return put(value, at, new)


def suites(root, count, seed):
    """``count`` broken suites, as bytes."""
    draw = random.Random(seed)
    whole = schema()
    paths = list(dict.fromkeys(keys_of(whole, whole["$defs"])))
    texts = [path.read_text() for path in sorted((root / "suites").glob("*.yaml"))]
    specials = [bomb(), bomb() + yaml.safe_dump(BASE), *ODD_YAML, "name: x\n" * 5000,
                yaml.safe_dump(BASE) + bomb(30, 2), "a: " * 3000, "- " * 3000, "? " * 2000]  # fmt: skip
    pairs = list(itertools.product(paths, ODD_YAML))
    draw.shuffle(pairs)
    yield from (text.encode("utf-8", "surrogatepass") for text in specials)
    for number in range(count - len(specials)):
        match number % 4:
            case 0 | 1:
                at, odd = pairs[number % len(pairs)]
                yield with_odd(BASE, at, odd).encode("utf-8", "surrogatepass")
            case 2:
                text = next(broken_text(draw.choice(texts), 1, draw.randrange(2**32)))
                yield text.encode("utf-8", "surrogatepass")
            case _:
                yield list(broken_bytes(draw.choice(texts).encode(), 17, draw.randrange(2**32)))[-1]


def every(attempts, root, count, seed):
    for number, data in enumerate(suites(root, count, seed)):
        (attempts.folder / "s.yaml").write_bytes(data)
        # reading data is a matter of its own; every tenth suite is read with its data
        attempts.run("validate", "s.yaml", *([] if number % 10 == 0 else ["--no-data"]))
    attempts.check()


def test_a_broken_suite_is_refused_in_words(attempts, root):
    every(attempts, root, 170, seed=1)


@pytest.mark.reliability
def test_thousands_of_broken_suites_are_refused_in_words(attempts, root):
    every(attempts, root, 8000, seed=SEED)


def test_the_schema_s_keys_are_all_reached():
    whole = schema()
    found = {at[-1] for at in keys_of(whole, whole["$defs"])}
    assert {"margin", "classify_by", "template_date", "numeric_rel_tol", "serve"} <= found
    assert len(list(places(BASE))) > 10
