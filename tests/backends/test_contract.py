"""What every backend promises: four verbs, in order, and what each leaves behind."""

import sys
import types
from pathlib import Path

import pytest

from harness.backends.base import (
    Alone,
    Asking,
    answering_backend,
    training_backend,
)
from harness.backends.testing import TestingBackend
from harness.datasets.splits import load_splits
from harness.errors import HarnessError
from harness.plan.backends import BACKENDS, BackendSpec
from harness.plan.expand import expand
from harness.plan.plan import make_plan
from harness.results.paths import CellPaths, write_json
from harness.results.reading import read_predictions
from harness.results.records import Environment
from harness.run.worker import run_cell
from harness.suite.loading import load_suite

BOTH = pytest.mark.parametrize("backend", ["testing", "hf"])
ROWS = 6


@pytest.fixture
def opened(write_suite, tmp_path):
    """The cells of a small suite with their folders, data and backends."""

    def open_(backend, dataset="ru-calculations"):
        path = write_suite(dataset=dataset)
        folder = CellPaths(tmp_path / "cells" / backend)
        folder.directory.mkdir(parents=True)
        cells = expand(load_suite(path), path, backend=backend)
        splits = load_splits(cells[0].dataset, path.parent)
        return cells, folder, splits.train[:ROWS], splits.test[:ROWS]

    return open_


@BOTH
def test_an_adapter_is_trained_saved_and_served(opened, backend):
    (base, tuned), folder, train, test = opened(backend)
    audits = []
    trained = training_backend(tuned, folder, Alone()).fine_tune(train, audits.append)
    assert [audit["rows"] for audit in audits] == [ROWS]
    assert trained.audit == audits[0]
    assert trained.seconds > 0
    assert trained.numbers["train_seconds"] == trained.seconds
    assert trained.log
    assert any(folder.adapter.iterdir())
    answers = []
    for cell in (base, tuned):
        served = answering_backend(cell, folder, Alone())
        assert served.load(test[0]).numbers
        answered = served.predict(test, Asking(batch_size=4))
        assert len(answered.records) == len(test)
        for record in answered.records:
            assert record.keys() >= {"prompt", "prediction", "finish_reason"}
        assert len(served.predict(test[:2], Asking(1, likelihoods=False)).records) == 2
        numbers = served.measure(test).numbers
        assert numbers["latency_p50_ms"] > 0
        answers.append([record["prediction"] for record in answered.records])
    assert answers[0] != answers[1]


@BOTH
def test_labels_are_answered_with_labels(opened, backend):
    (base, _), folder, _, test = opened(backend, "finance-labels")
    served = answering_backend(base, folder, Alone())
    served.load(test[0])
    records = served.predict(test, Asking(batch_size=4)).records
    assert {record["predicted_label"] for record in records} <= set(base.task.labels)


@BOTH
def test_nothing_is_trained_on_rows_that_the_suite_refuses(opened, backend):
    (_, tuned), folder, train, _ = opened(backend)

    def refuse(audit):
        raise HarnessError("no")

    with pytest.raises(HarnessError, match="no"):
        training_backend(tuned, folder, Alone()).fine_tune(train, refuse)
    assert not folder.adapter.exists()


@BOTH
def test_control_endings_get_a_score_each(opened, backend):
    from harness.datasets.control import load_control

    (base, _), folder, _, test = opened(backend)
    served = answering_backend(base, folder, Alone())
    served.load(test[0])
    items = load_control("everyday", Path())[:3]
    scores = served.score_endings(items)
    assert len(scores.right) == len(scores.wrong) == 3
    assert min(scores.right) > 0


class Elsewhere:
    """A backend that answers and measures what another one has trained."""

    def __init__(self, cell, paths):
        inner = TestingBackend(cell, paths)
        self.load, self.predict, self.measure = inner.load, inner.predict, inner.measure


@pytest.fixture
def elsewhere(monkeypatch):
    module = types.ModuleType("elsewhere")
    module.open_backend = lambda cell, paths, device: Elsewhere(cell, paths)
    monkeypatch.setitem(sys.modules, "elsewhere", module)

    def register(trained_by):
        monkeypatch.setitem(BACKENDS._items, "elsewhere", BackendSpec("elsewhere", trained_by))

    return register


def run_all(suite, out, backend):
    plan = make_plan(suite, out, backend=backend)
    results = []
    for decision in plan.decisions:
        paths = plan.run.cell(decision.key)
        write_json(paths.cell, decision.job(Environment()))
        results.append(run_cell(paths, Alone()))
    return plan, results


def test_what_one_backend_trained_another_answers(write_suite, tmp_path, elsewhere):
    elsewhere("testing")
    plan, (base, tuned) = run_all(write_suite(), tmp_path / "out", "elsewhere")
    assert (base.status, tuned.status) == ("ok", "ok")
    assert tuned.value("train_seconds").value == 1.0
    paths = plan.run.cell(tuned.key)
    assert (paths.adapter / "adapter.json").is_file()
    assert len(read_predictions(paths.predictions)) == 12
    suite = write_suite()
    text = suite.read_text().replace("evaluation: {", "evaluation: {control: everyday, ")
    suite.write_text(text)
    with pytest.raises(HarnessError, match="cannot score a control set"):
        run_all(suite, tmp_path / "control", "elsewhere")


def test_a_backend_that_only_answers_needs_one_that_trains(write_suite, tmp_path, elsewhere):
    elsewhere("elsewhere")
    with pytest.raises(HarnessError, match="cannot train"):
        run_all(write_suite(), tmp_path / "out", "elsewhere")


def test_a_result_of_another_backend_is_not_current(write_suite, tmp_path):
    suite, out = write_suite(), tmp_path / "out"
    run_all(suite, out, "testing")
    assert len(make_plan(suite, out, backend="testing").of("current")) == 2
    assert make_plan(suite, out).of("current") == []


def test_an_unknown_backend_is_refused_with_the_nearest_name(write_suite, tmp_path):
    with pytest.raises(HarnessError, match="testing"):
        make_plan(write_suite(), tmp_path, backend="tesing")
