"""Every command with odd arguments: each argument and option of each, and odd paths."""

import itertools
import json
import os
import random

import click
import pytest
from mutations import DIGITS, SEED

from harness.cli import main
from harness.importers import Reading, import_answers

# Nothing here leads out of the test's own folder: `-o` writes where it is told to.
WORDS = [
    "", " ", "-", "--", ".", "nowhere", "folder", "empty", "binary", "run", "run/plan.json", "t.json",
    "s.yaml", "pack.tar.xz", "-1", "0", "1e999", "nan", "inf", "-inf", DIGITS, "=", "a=b", "a=", "=b", "r=[", "r=*x",
    "r=&a [*a]", "model=*", "model=[", "adapter=a|b|", "seed=x", ",,,", "x" * 5000, "\x1b[31m", "\udcff", "[/INST]",
    "git:", "git:nowhere", "git:--help", "git:HEAD:../../x", "é漢", "a\nb",
    "run/cells", "locked", "loop", "8GB", "GB", "prompt=", "model=tiny-*", "~",
]  # fmt: skip
SLOW = {"calibrate", "open_", "pdf"}
"""Options that run cells or start a browser, whatever else is given."""
UNTRIED = {"build", "doctor", "predict"}
"""Commands that import torch or train a model, whatever their arguments; tests/doctor tries odd
arguments of `doctor` with a torch that is broken, which is quick."""


def leaves(group, path=()):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, (*path, name))
        elif name not in UNTRIED:
            yield (*path, name), command


@pytest.fixture
def here(attempts, root):
    folder = attempts.folder
    (folder / "models").symlink_to(root / "models")
    (folder / "folder").mkdir()
    (folder / "empty").touch()
    (folder / "binary").write_bytes(bytes(range(256)))
    (folder / "locked").mkdir(mode=0)
    (folder / "loop").symlink_to("loop")
    (folder / "s.yaml").write_text(
        "name: s\nmatrix:\n  model: [tiny-qwen2]\n  adapter: [{name: a, config: {r: 4}}]\n"
        "  dataset: [{name: ru-calculations, rows: 20, train: 10, test: 5}]\n"
    )
    rows = [
        {"id": str(i), "prompt": f"p{i}", "reference": "r", "prediction": "r"} for i in range(4)
    ]
    (folder / "t.json").write_text(json.dumps(rows))
    import_answers([folder / "t.json"], folder / "run", Reading(), name="run")
    attempts.run("pack", "run", "-o", "pack.tar.xz")
    yield folder
    (folder / "locked").chmod(0o700)


def calls(command, path, draw):
    """``command`` with one odd word at each of its places in turn, the others as they should be."""
    good = {"run_dir": "run", "run_dirs": "run", "first": "run", "suite": "s.yaml", "suites": "s.yaml",
            "cell": "run", "path": "s.yaml", "name": "tiny-qwen2", "sources": "t.json"}  # fmt: skip
    needed = {"--reason": "x", "--output": "out"}
    extra = ["--dry-run"] if path == ("run",) else []  # nothing here may train
    arguments = [p for p in command.params if isinstance(p, click.Argument) and p.required]
    usual = [good.get(p.name, "new") for p in arguments]
    options = [p for p in command.params if isinstance(p, click.Option) and not p.is_eager]
    asked = [w for p in options if p.required for w in (p.opts[-1], needed.get(p.opts[-1], "new"))]
    for place, word in itertools.product(range(len(usual)), WORDS):
        yield [*path, *usual[:place], word, *usual[place + 1 :], *asked, *extra]
    for option, word in itertools.product(options, WORDS):
        if not option.is_flag and option.name not in SLOW:
            yield [*path, *usual, *asked, *extra, option.opts[-1], word]
    for _ in range(40):
        words = draw.choices(
            [*WORDS, *(o.opts[-1] for o in options if o.name not in SLOW)], k=draw.randrange(6)
        )
        yield [*path, *extra, *words]


def every(attempts, count, seed, *, without=()):
    draw = random.Random(seed)
    tried = [(path, command) for path, command in leaves(main) if path not in without]
    found = [call for path, command in tried for call in calls(command, path, draw)]
    draw.shuffle(found)
    for number, call in enumerate(found[:count]):
        before = set(attempts.folder.parent.iterdir())
        attempts.run(*[os.fsencode(word).decode("utf-8", "surrogateescape") for word in call])
        assert set(attempts.folder.parent.iterdir()) == before, call
        if number % 50 == 0:
            assert (attempts.folder / "run" / "plan.json").is_file(), call
    attempts.check()


def test_odd_arguments_are_refused_in_words(attempts, here):
    # `models show` imports torch, which takes longer than all the others together
    every(attempts, 120, seed=1, without=[("models", "show")])


@pytest.mark.reliability
def test_every_argument_of_every_command_is_refused_in_words(attempts, here):
    import peft  # noqa: F401  its import takes seconds, which is not a hang

    every(attempts, 10_000, seed=SEED)
