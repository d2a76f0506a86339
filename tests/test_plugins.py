"""A package outside adds a metric, a data set, an executor and a section; a suite uses them."""

import json
import os
import subprocess
import sys

import pytest

from harness import HarnessError
from harness.plugins import load_plugins

SUITE = """\
name: plugged
matrix:
  model: [tiny-qwen2]
  adapter: [base]
  dataset: [{name: DATASET, train: 8, test: 4}]
"""
METRIC = '''\
from harness.metrics.registry import metric

@metric("vowel_share", unit="share", higher_is_better=True, reads="text", always=True)
def vowel_share(prediction, reference):
    """The share of the reference's vowels that the prediction has."""
    wanted = [letter for letter in reference.lower() if letter in "aeiouаеиоуыэюя"]
    return 1.0 if not wanted else sum(w in prediction.lower() for w in wanted) / len(wanted)
'''
DATASET = '''\
from harness.datasets import dataset

@dataset("capitals", version=1)
def capitals(entry):
    """Countries and their capitals."""
    return [{"instruction": f"Capital of land {k}?", "output": f"City {k}"} for k in range(20)]
'''
EXECUTOR = '''\
from pathlib import Path
from harness.run.executors.base import EXECUTORS, Event
from harness.run.executors.in_process import InProcessExecutor

class Announced(InProcessExecutor):
    """Says how many cells it got."""

    def run(self, jobs):
        Path("announced").write_text(str(len(jobs)))
        yield from super().run(jobs)

EXECUTORS.add("announced", lambda workers: Announced())
'''

SECTION = '''\
from harness.report.section import Section
from harness.report.sections import section

@section("closing")
def from_outside(board):
    """How many cells there are, once more."""
    return Section("From outside", (f"{len(board.run.cells)} cells, says the package",))
'''


@pytest.fixture
def command(write_suite, tmp_path):
    """Runs the suite by `harness run` in a process of its own; gives the run directory."""

    def run(executor, dataset="ru-calculations"):
        suite, out = write_suite(SUITE, dataset=dataset), tmp_path / "out"
        words = ["run", suite, "-o", out, "--backend", "testing", "--executor", executor]
        done = subprocess.run(
            [sys.executable, "-m", "harness.cli", *map(str, words)],
            capture_output=True, text=True, check=False, cwd=tmp_path, env={**os.environ},
        )  # fmt: skip
        logs = [path.read_text() for path in out.rglob("cell.log")]
        assert done.returncode == 0, (done.stdout, done.stderr, logs)
        return out

    return run


def stored(out):
    (path,) = out.rglob("result.json")
    return json.loads(path.read_text())


def test_a_metric_of_a_package_is_scored_in_the_worker_and_is_a_column(install_plugin, command):
    install_plugin("plugged_metric", METRIC)
    out = command("local")
    values = {value["metric"]: value for value in stored(out)["values"] if not value["category"]}
    assert 0 < values["vowel_share"]["value"] < 1
    assert values["vowel_share"]["higher_is_better"] is True
    assert "vowel_share" in (out / "leaderboard.md").read_text()


def test_a_data_set_of_a_package_is_planned_and_read(install_plugin, command):
    install_plugin("plugged_dataset", DATASET)
    result = stored(command("in_process", dataset="capitals"))
    assert (result["status"], result["dataset"]) == ("ok", "capitals")


def test_an_executor_of_a_package_runs_the_cells(install_plugin, command, tmp_path):
    install_plugin("plugged_executor", EXECUTOR)
    assert stored(command("announced"))["status"] == "ok"
    assert (tmp_path / "announced").read_text() == "1"


def test_a_report_section_of_a_package_is_in_every_report(install_plugin, command):
    install_plugin("plugged_section", SECTION)
    out = command("in_process")
    for name in ("leaderboard.md", "leaderboard.html"):
        assert "1 cells, says the package" in (out / name).read_text()


BROKEN = {
    "raise ValueError('no')": "ValueError: no",
    "import no_such_library": "ModuleNotFoundError: No module named 'no_such_library'",
    "syntax error": "SyntaxError",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_plug_in_that_cannot_be_imported_is_one_error_that_names_it(install_plugin, text):
    install_plugin("broken_plugin", text)
    with pytest.raises(HarnessError) as caught:
        load_plugins()
    message = str(caught.value)
    assert message.startswith('plug-in "broken_plugin" of broken_plugin cannot be imported')
    assert BROKEN[text] in message
    assert "Traceback" not in message


def test_a_broken_plug_in_ends_a_command_with_2_and_one_line(install_plugin, write_suite):
    install_plugin("broken_plugin", "raise ValueError('no')")
    words = [sys.executable, "-m", "harness.cli", "plan", str(write_suite(SUITE))]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith('error: plug-in "broken_plugin"')
    assert "Traceback" not in done.stderr


def test_the_plug_ins_of_a_run_are_recorded(install_plugin, command):
    install_plugin("plugged_dataset", DATASET)
    out = command("in_process", dataset="capitals")
    environment = json.loads((out / "environment.json").read_text())
    assert environment["plugins"] == {"plugged_dataset": "1.0"}
