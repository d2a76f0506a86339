"""No message says "1 rows": counts in sentences go through `counted`."""

import ast
import itertools
import re

import pytest

from harness.counting import counted

CASES = [
    ((0, "row"), {}, "0 rows"),
    ((1, "row"), {}, "1 row"),
    ((2, "test row"), {}, "2 test rows"),
    ((1, "latency", "latencies"), {}, "1 latency"),
    ((3, "latency", "latencies"), {}, "3 latencies"),
    ((12000, "row"), {}, "12000 rows"),
    ((12000, "row"), {"separated": True}, "12,000 rows"),
    ((1, "row is", "rows are"), {}, "1 row is"),
]


@pytest.mark.parametrize(("given", "how", "text"), CASES, ids=[text for *_, text in CASES])
def test_a_noun_agrees_with_its_count(given, how, text):
    assert counted(*given, **how) == text


PLURAL = re.compile(r" (?:(?!of |and |the |in )[a-z-]+ ){0,2}?([a-z]{2,}s)\b(?!')")
NO_NOUN = frozenset(
    ("always", "as", "becomes", "begins", "changes", "differs", "does", "exists", "fixes", "gives",
     "has", "holds", "is", "its", "keeps", "lacks", "leaves", "less", "lies", "loss", "matches",
     "minus", "mixes", "names", "needs", "plus", "raises", "reads", "takes", "this", "times",
     "trains", "was", "writes")
)  # fmt: skip
"""Verbs after a value that is no count, and `times`, mostly a factor."""
UNITS = frozenset(("deviations", "layers", "nats", "points", "tokens/s", "weights"))
"""What is measured or named rather than counted."""
NO_COUNTS = {
    ("analysis/cautions.py", "devices"): "a list of numbers, two at least",
    ("analysis/cautions.py", "parameters"): "millions",
    ("analysis/cautions.py", "scores"): "a verb",
    ("analysis/decision.py", "examples"): "≈ 400",
    ("backends/hf/export/merged.py", "ones"): "nf4 ones",
    ("backends/hf/export/gguf_words.py", "characters"): "on characters",
    ("backends/hf/models/loading.py", "inputs"): "a factor",
    ("backends/hf/training/checkpoints.py", "rows"): "a setting's name",
    ("commands/models.py", "parameters"): "of a model",
    ("datasets/sources.py", "files"): ".txt files",
    ("demo/session.py", "tokens"): "a speed",
    ("doctor/surroundings.py", "answers"): "a host answers",
    ("importers/answer_rows.py", "answers"): "a subject before it",
    ("judging/verdicts.py", "texts"): "a hint",
    ("report/charts/strips.py", "axis"): "a singular",
    ("report/sections/answers.py", "seeds"): "a metric over all seeds",
    ("report/sections/method.py", "cores"): "text of another tool as well",
    ("results/records.py", "cores"): "a machine is known by it",
    ("starter/data.py", "ways"): "two at least",
    ("suite/dataset_entry.py", "tasks"): "a verb before it",
    ("suite/model_card.py", "files"): "GGUF files",
}
"""File and plural of what looks like a count and is none, or is never one."""


def plurals(tree):
    """Values of f-strings with a plural noun right after, but for constants of the code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            for value, text in itertools.pairwise(node.values):
                if isinstance(value, ast.FormattedValue) and isinstance(text, ast.Constant):
                    source = ast.unparse(value.value)
                    found = PLURAL.match(text.value)
                    if found and not source.isupper() and not source.startswith("counted("):
                        yield found[1], f"{{{source}}}{text.value[:40]}"


def test_no_message_puts_a_plural_after_any_number(root):
    wrong = [
        f"{path.relative_to(root)}: {text}"
        for path in sorted((root / "harness").rglob("*.py"))
        for noun, text in plurals(ast.parse(path.read_text()))
        if noun not in NO_NOUN | UNITS
        and (path.relative_to(root / "harness").as_posix(), noun) not in NO_COUNTS
    ]
    assert not wrong, "use harness.counting.counted:\n" + "\n".join(wrong)


def test_the_sweep_finds_what_it_looks_for():
    tree = ast.parse("f'{len(rows)} rows', f'{n} bad test rows', f'{MOST} rows', f'{name} is'")
    assert [noun for noun, _ in plurals(tree)] == ["rows", "rows"]
