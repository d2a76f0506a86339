"""The notebook of the documents runs: the CI suite, its leaderboard, and its gate."""

import os
import re
import tomllib

import nbformat
import pytest
from nbclient import NotebookClient

import harness


@pytest.mark.slow
def test_the_notebook_runs_the_ci_suite_and_passes_its_gate(root, tmp_path):
    notebook = nbformat.read(root / "docs" / "notebook.ipynb", as_version=4)
    # an empty folder, as a reader of the page has it in Colab
    resources = {"metadata": {"path": str(tmp_path)}}
    # the kernel is another process: give it this checkout and no hub
    os.environ.setdefault("PYTHONPATH", str(root))
    NotebookClient(notebook, timeout=600, resources=resources).execute()
    shown = [o for cell in notebook.cells for o in cell.get("outputs", ())]
    tables = [o["data"]["text/html"] for o in shown if "text/html" in o.get("data", {})]
    assert any("lora-r8" in table and "Δ" in table for table in tables)
    assert "error" not in {o["output_type"] for o in shown}
    ends = [o["data"]["text/plain"] for o in shown if o["output_type"] == "execute_result"]
    assert ends[-1] in {"0", "1"}
    checks = harness.check(
        tmp_path / "runs" / "notebook", against=root / "suites" / "ci.baseline.json"
    ).checks
    # latencies may be worse while other work goes on beside the tests; nothing else may
    assert {c.rule.test for c in checks if c.is_problem} <= {"percentage"}


def test_the_first_code_installs_the_harness_where_it_is_not_there(root):
    notebook = nbformat.read(root / "docs" / "notebook.ipynb", as_version=4)
    first = next(cell.source for cell in notebook.cells if cell.cell_type == "code")
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    name, extra = re.search(r'pip install --quiet "([\w-]+)\[(\w+)\]"', first).groups()
    assert name == "finetune-harness"
    assert extra in extras
    assert first.index("import harness") < first.index("pip install")


def test_no_cell_needs_a_file_of_a_checkout(root):
    notebook = nbformat.read(root / "docs" / "notebook.ipynb", as_version=4)
    assert not [
        cell.source for cell in notebook.cells if cell.cell_type == "code" and "../" in cell.source
    ]
