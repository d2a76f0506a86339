"""A backend that does what a script beside the suite says: it hangs, dies, edits files, fails once.

Tests of faults write ``script.json``: adapter → verb (`train`, `load`, `predict`, `measure`) → lines
of Python that run there, before the testing backend's own work. `after` is the answers, given.
"""

import json
from pathlib import Path

PLUGIN = """\
import json, math, os, signal, sys, time
from pathlib import Path
from harness.backends.testing import TestingBackend
from harness.errors import HarnessError, SkipCell
from harness.plan.backends import BACKENDS, BackendSpec

BACKENDS.add(__name__, BackendSpec(__name__, trained_by=__name__, packages=()))

class Scripted(TestingBackend):
    def __init__(self, cell, paths, device):
        super().__init__(cell, paths)
        self.folder, self.paths = Path(cell.base_folder), paths
        script = json.loads((self.folder / "script.json").read_text())
        self.script = script.get(cell.adapter, {})

    def _do(self, verb, found=None):
        scope = {**globals(), "folder": self.folder, "paths": self.paths, "found": found}
        exec(self.script.get(verb, ""), scope)
        return found

    def fine_tune(self, train, accept):
        self._do("train")
        return self._do("trained", super().fine_tune(train, accept))

    def load(self, probe):
        self._do("load")
        return super().load(probe)

    def predict(self, test, asking):
        self._do("predict")
        return self._do("answered", super().predict(test, asking))

    def measure(self, test):
        self._do("measure")
        return super().measure(test)

open_backend = Scripted
"""
SUITE = """\
name: scripted
matrix:
  model: [tiny-qwen2]
  adapter: [ADAPTERS]
  dataset: [{name: ru-calculations, train: 8, test: 4}]
evaluation: {noise_examples: 0}
"""


def scripted_suite(write_suite, scripts, text=SUITE):
    """A suite with one adapter for each of ``scripts``, beside which these lie."""
    adapters = ", ".join(f"{{name: {name}, config: {{r: 4}}}}" for name in scripts)
    suite = write_suite(text.replace("ADAPTERS", adapters))
    (Path(suite).parent / "script.json").write_text(json.dumps(scripts))
    return suite
