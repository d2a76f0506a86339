import json
import textwrap

import pytest

from harness.plan.machine import environment
from harness.plan.plan import make_plan
from harness.plugins import load_plugins

SUITE = """\
name: contract
matrix:
  model: [tiny-qwen2]
  adapter: [base]
  dataset: [{name: ru-calculations, train: 8, test: 4}]
"""
BACKEND = """\
import json, os, sys, time
from pathlib import Path
from harness.backends.testing import TestingBackend
from harness.errors import HarnessError, SkipCell
from harness.plan.backends import BACKENDS, BackendSpec

BACKENDS.add("scripted", BackendSpec(__name__, trained_by="scripted"))

class Scripted(TestingBackend):
    def __init__(self, cell, paths, device):
        super().__init__(cell, paths)
        self.paths = paths
        self.script = json.loads((paths.directory / "script.json").read_text())
        exec(self.script["code"])

    def measure(self, test):
        paths = self.paths
        exec(self.script["measure"])
        return super().measure(test)

open_backend = Scripted
"""


@pytest.fixture
def scripted(write_suite, tmp_path, install_plugin):
    """Makes jobs, each of which runs its lines of Python and then the testing backend."""
    install_plugin("contract_backend", BACKEND)
    load_plugins()
    plan = make_plan(write_suite(SUITE), tmp_path / "run", backend="scripted")
    (decision,) = plan.decisions

    def on(machine):
        surroundings = environment(tmp_path, machine)

        def make(*codes, **options):
            """Each code runs when the cell's model is loaded; of a pair the second when it measures."""
            found = []
            for number, code in enumerate(codes):
                first, measure = code if isinstance(code, tuple) else (code, "")
                paths = plan.run.cell(f"job{number}")
                paths.directory.mkdir(parents=True)
                job = {**decision.job(surroundings), "key": f"job{number}", **options}
                paths.cell.write_text(json.dumps(job))
                script = {"code": textwrap.dedent(first), "measure": textwrap.dedent(measure)}
                (paths.directory / "script.json").write_text(json.dumps(script))
                found.append((f"job{number}", paths))
            return found

        return make

    return on
