"""`harness score` may fork: what starts threads is not loaded before the cells are scored."""

import subprocess
import sys

CODE = """
import sys
import harness.cli, harness.commands.report, harness.api.rescoring
from harness.plugins import load_plugins
load_plugins()
assert "harness.scoring.rescoring" in sys.modules
print(sorted({"numpy", "pyarrow", "torch"} & set(sys.modules)))
"""


def test_scoring_starts_before_any_library_with_threads_is_loaded():
    found = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=True, timeout=300
    )
    assert found.stdout.strip() == "[]"
