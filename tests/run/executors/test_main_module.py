"""Which main module a worker runs again: a user's script, not a program that defines nothing."""

import subprocess
import sys
from importlib.machinery import ModuleSpec
from multiprocessing.spawn import get_preparation_data
from types import ModuleType

import pytest

from harness.run.executors.main_module import hidden_program, program

MAINS = {
    # name of its module, file -> whether a worker runs it
    "a script": (None, "/home/me/compare.py", True),
    "a script in a folder of that name": (None, "/home/me/harness/compare.py", True),
    "a module of the user": ("my.compare", "/home/me/my/compare.py", True),
    "a notebook": (None, None, False),
    "the command": (None, "/usr/bin/harness", False),
    "the command as a module": ("harness.cli", "/lib/harness/cli.py", False),
    "what Ray starts": (None, "/lib/ray/_private/workers/default_worker.py", False),
    "what submitit starts": ("submitit.core._submit", "/lib/submitit/core/_submit.py", False),
}


@pytest.mark.parametrize("case", MAINS)
def test_a_worker_runs_a_script_again_and_no_program(monkeypatch, case):
    name, file, expected = MAINS[case]
    main = ModuleType("__main__")
    main.__spec__ = ModuleSpec(name, None) if name else None
    if file:
        main.__file__ = file
    monkeypatch.setitem(sys.modules, "__main__", main)
    before = dict(vars(main))
    assert bool(program()) == expected
    with hidden_program():  # whatever it is, multiprocessing itself does not run it
        sent = get_preparation_data("worker")
    assert not any(key.startswith("init_main") for key in sent)
    assert vars(main) == before


SCRIPT = """\
import sys
import harness
from harness.metrics.registry import metric

@metric("holds_torch", unit="share", higher_is_better=False, always=True)
def holds_torch(prediction, reference):
    return float("torch" in sys.modules)

GUARD
    harness.run(harness.plan(sys.argv[1], output=sys.argv[2], backend="testing"), workers=1)
    (cell,) = harness.load_run(sys.argv[2]).cells
    print([v.value for v in cell.values if v.metric == "holds_torch" and v.category is None])
    print(cell.reason)
"""
SUITE = """\
name: small
matrix:
  model: [tiny-qwen2]
  adapter: [base]
  dataset: [{name: ru-calculations, train: 8, test: 4}]
evaluation: {noise_examples: 0, latency_prompts: 0}
"""


GUARDS = {
    "guarded": 'if __name__ == "__main__":',
    "not guarded": "if True:",
    "not guarded, and it fails in a worker": (
        'if __name__ != "__main__":\n    raise OSError("no such table")\nif True:'
    ),
}
SAID = {
    "guarded": "[0.0]",
    "not guarded": "[0.0]",
    "not guarded, and it fails in a worker": "failed: OSError: no such table",
}


@pytest.mark.parametrize("case", GUARDS)
def test_a_worker_has_what_a_script_registers_and_no_torch_for_a_cell_without_a_model(
    write_suite, tmp_path, case
):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace("GUARD", GUARDS[case]))
    command = [sys.executable, script, write_suite(SUITE), tmp_path / "run"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert SAID[case] in done.stdout, done.stderr
