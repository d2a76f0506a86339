"""Rows are shared only by cells whose prompts are made alike."""

from dataclasses import replace

import pytest

from harness.backends.hf.encoding import TrainingRows
from harness.backends.hf.models.loading import load_tokenizer
from harness.backends.hf.training.row_store import rows_key, stored_rows
from harness.datasets.example import Example, Turn
from harness.plan.expand import expand
from harness.suite.loading import load_suite

EXAMPLES = [Example("1", "Hi", "There")]


@pytest.fixture
def cell(write_suite):
    path = write_suite()
    return next(cell for cell in expand(load_suite(path), path) if not cell.is_baseline)


@pytest.fixture
def key(cell):
    def key_of(examples=EXAMPLES, template=None, **card):
        tokenizer = load_tokenizer(cell.model)
        tokenizer.chat_template = template or tokenizer.chat_template
        changed = replace(cell, model=cell.model.model_copy(update=card))
        return rows_key(changed, tokenizer, examples)

    return key_of


def test_the_key_covers_template_variables_date_and_the_whole_chat(key):
    (example,) = EXAMPLES
    keys = [
        key(),
        key(template="{{ messages }}"),
        key(template_kwargs={"enable_thinking": False}),
        key(template_date="2024-01-01"),
        key(system="Be brief."),
        key([replace(example, system="Be brief.")]),
        key([replace(example, history=(Turn("user", "A"), Turn("assistant", "B")))]),
    ]
    assert len(set(keys)) == len(keys)
    assert key() == key()


def test_the_key_covers_the_code_that_makes_rows(key, monkeypatch):
    from harness.backends.hf.training import row_store

    before = key()
    monkeypatch.setattr(row_store, "_code", lambda: ["another version"])
    assert key() != before


TORN = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-8]),
    "empty": lambda path: path.write_bytes(b""),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("how", TORN)
@pytest.mark.parametrize("name", ["*.arrow", "audit.json", "dataset_info.json", "hashes.json"])
def test_rows_that_are_torn_are_made_again(tmp_path, name, how):
    made = []

    def make():
        made.append(1)
        return TrainingRows([{"input_ids": [1, 2, 3]}], {"rows": 1})

    stored_rows(tmp_path, "key", make)
    stored_rows(tmp_path, "key", make)
    assert len(made) == 1
    (path,) = (tmp_path / "key").glob(name)
    TORN[how](path)
    found = stored_rows(tmp_path, "key", make)
    assert len(made) == 2
    assert (found.rows[0]["input_ids"], found.audit) == ([1, 2, 3], {"rows": 1})


def test_rows_in_use_are_not_taken_for_torn_ones(tmp_path):
    """`Dataset.map` keeps its cache beside the rows; another worker must not delete them for it."""
    made = []

    def make():
        made.append(1)
        return TrainingRows([{"input_ids": [1, 2, 3]}], {"rows": 1})

    used = stored_rows(tmp_path, "key", make).rows.map(lambda row: {"n": len(row["input_ids"])})
    assert list((tmp_path / "key").glob("cache-*.arrow"))  # else this says nothing
    stored_rows(tmp_path, "key", make)
    assert len(made) == 1
    assert used[0]["n"] == 3
