import json
import textwrap

import pytest
from plugin_site import found_in, write_plugin

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

BACKENDS.add("contract", BackendSpec(__name__, trained_by="contract", packages=()))

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


@pytest.fixture(scope="module")
def contract_backend(tmp_path_factory):
    """The backend `contract` as a plug-in, found by this process and by all that it starts."""
    site = tmp_path_factory.mktemp("site")
    write_plugin(site, "contract_backend", BACKEND)
    with pytest.MonkeyPatch.context() as patch, found_in(site, patch):
        yield site


@pytest.fixture(scope="module")
def ray_cluster(contract_backend):
    """A Ray cluster of two nodes on this machine, which this process is connected to."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    small = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
    cluster.add_node(**small)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def scripted(write_suite, tmp_path, contract_backend):
    """Makes jobs, each of which runs its lines of Python and then the testing backend."""
    load_plugins()
    plan = make_plan(write_suite(SUITE), tmp_path / "run", backend="contract")
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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Tests of clusters are slow as well: whoever leaves slow ones out by `-m` means these, too."""
    for item in items:
        if item.get_closest_marker("cluster"):
            item.add_marker(pytest.mark.slow)
