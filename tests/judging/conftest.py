"""A finished run with a baseline and an adapter, and a judge on the loopback."""

import json
import shutil
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from model_server import model_server

from harness.analysis.judged import JudgedRun, judged_run
from harness.backends.base import Alone
from harness.judging.verdicts import cases_of, judge_cases
from harness.plan.machine import environment, machine
from harness.plan.plan import make_plan, write_plan
from harness.report.sections.judged import judged as section
from harness.results.judgements import write_judgements
from harness.results.paths import write_json
from harness.results.run import load_run
from harness.run.worker import run_cell
from harness.suite.loading import load_suite

SUITE = """\
name: judged
matrix:
  model: [tiny-qwen2]
  adapter: [{name: lora-r4, config: {r: 4}}]
  dataset: [{name: ru-calculations, train: 8, test: 24}]
  seed: [SEEDS]
evaluation: {noise_examples: 0}
judge:
  endpoint: {base_url: "BASE_URL", model: judge-1, max_retries: 0EXTRA}
"""


@pytest.fixture
def judge_server(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    with model_server() as served:
        yield served


@pytest.fixture
def judged_suite(judge_server, write_suite):
    def write(*, extra="", seeds="0", more=""):
        text = SUITE.replace("BASE_URL", judge_server.base_url).replace("EXTRA", extra)
        return write_suite(text.replace("SEEDS", seeds) + more)

    return write


@pytest.fixture(scope="session")
def runs_of_seeds():
    """Seeds → the directory of a run that was made once; its cells take a second."""
    return {}


@pytest.fixture
def finished(judged_suite, runs_of_seeds, tmp_path, tmp_path_factory):
    """A finished run of the suite by the testing backend: right answers, or `…`; its directory."""

    def run(*, seeds="0", **changes):
        suite = judged_suite(seeds=seeds, **changes)
        if seeds not in runs_of_seeds:
            runs_of_seeds[seeds] = _run(suite, tmp_path_factory.mktemp("judged") / "out")
        directory = shutil.copytree(runs_of_seeds[seeds], tmp_path / "out")
        shutil.copy(suite, directory / "suite.yaml")
        return directory

    return run


def _run(suite, output):
    plan = make_plan(suite, output, backend="testing")
    around = environment(suite.parent, machine())
    for decision in plan.decisions:
        paths = plan.run.cell(decision.key)
        write_json(paths.cell, decision.job(around))
        run_cell(paths, Alone())
    write_plan(plan, around)
    return output


@pytest.fixture
def judged(judged_suite):
    """Judges a run, by its own suite or by other settings; renders no report, which takes seconds.

    Returns the verdicts as the report reads them, and the text of its section.
    """

    def judge(directory, *, labels=(), **changes):
        path = judged_suite(**changes) if changes else directory / "suite.yaml"
        settings = load_suite(path).judge
        found = judge_cases(cases_of(load_run(directory), settings), settings, labels=labels)
        write_judgements(directory, found.found, found.words)
        return section_of(directory)

    return judge


def section_of(directory):
    """A judge's verdicts on the run in ``directory``, and the text of their section."""
    run = load_run(directory)
    made = section(SimpleNamespace(run=run))
    text = "\n".join([*made.notes, *(" | ".join(row) for row in made.rows)])
    return Section(judged_run(run), text)


class Section(NamedTuple):
    found: JudgedRun
    text: str

    @property
    def row(self):
        (row,) = self.found.rows
        return row


@pytest.fixture
def section_now():
    """The section of a run's report as it would be written now."""
    return section_of


@pytest.fixture
def verdicts():
    """The lines of a run's verdicts."""

    def read(directory):
        text = (directory / "judge" / "verdicts.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]

    return read
