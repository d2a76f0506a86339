"""Which main module a worker runs again: a user's script, not a program that defines nothing."""

import os
import subprocess
import sys
from importlib.machinery import ModuleSpec
from multiprocessing.spawn import get_preparation_data
from types import ModuleType

import pytest

from harness.api.exporting import export
from harness.api.gate import assert_no_regression
from harness.api.running import execute, run
from harness.api.suites import calibrate
from harness.run.executors import main_module
from harness.run.executors.main_module import RunBegins, hidden_program, program

MAINS = {
    # name of its module, file -> whether a worker runs it
    "a script": (None, "me/compare.py", True),
    "a script in a folder of that name": (None, "harness/compare.py", True),
    "a script from standard input": (None, "<stdin>", False),
    "a module of the user": ("my.compare", "my/compare.py", True),
    "a notebook": (None, None, False),
    "the command": (None, "bin/harness", False),
    "the command as a module": ("harness.cli", "lib/harness/cli.py", False),
    "what Ray starts": (None, "lib/ray/_private/workers/default_worker.py", False),
    "what submitit starts": ("submitit.core._submit", "lib/submitit/core/_submit.py", False),
}


@pytest.mark.parametrize("case", MAINS)
def test_a_worker_runs_a_script_again_and_no_program(monkeypatch, tmp_path, case):
    name, file, expected = MAINS[case]
    main = ModuleType("__main__")
    main.__spec__ = ModuleSpec(name, None) if name else None
    if file == "<stdin>":
        main.__file__ = file
    elif file:
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).touch()
        main.__file__ = str(tmp_path / file)
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


STARTS = {
    "run": lambda: run("no-such-suite.yaml"),
    "execute": lambda: execute(None),
    "calibrate": lambda: calibrate(None),
    "assert_no_regression": lambda: assert_no_regression("no-such-suite.yaml"),
    "export": lambda: export("no-such-run", "a", "out", to="merged", score=True),
}


@pytest.mark.parametrize("name", STARTS)
def test_a_script_that_is_run_again_ends_before_a_run_is_planned(monkeypatch, name):
    monkeypatch.setattr(main_module, "_running_again", True)
    with pytest.raises(RunBegins):
        STARTS[name]()


CARDS = """\
#!/bin/sh
case "$1" in
*compute_cap*) echo 9.0; echo 9.0;;
*index*) for n in 0 1; do echo "$n, GPU-$n-card, 81559, NVIDIA H100 80GB HBM3"; done;;
esac
"""
ON_CARDS = """\
import os, sys
import harness
from harness.metrics.registry import metric

PREPARED

@metric("cards", unit="share", higher_is_better=False, always=True)
def cards(prediction, reference):
    return float("CARDS".split().index(os.environ["CUDA_VISIBLE_DEVICES"]))

kwargs = dict(output=sys.argv[2], backend="testing", devices=[0, 1])
CALL
    (cell,) = harness.load_run(sys.argv[2]).cells
    print(cell.status, cell.reason)
"""
PLANNED = """\
plan = harness.plan(sys.argv[1], **kwargs)
if __name__ == "__main__":
    harness.run(plan)"""
SCRIPTS = {
    # what it does first, how it runs, the values of CUDA_VISIBLE_DEVICES that a worker may have
    "not guarded": (
        "",
        "if True:\n    harness.run(sys.argv[1], **kwargs)",
        "GPU-0-card GPU-1-card",
    ),
    "it chooses the cards": ("os.environ['CUDA_VISIBLE_DEVICES'] = '1,0'", PLANNED, "1 0"),
    "planned outside the guard, its card set before": (
        "if __name__ != '__main__':\n    assert ',' not in os.environ['CUDA_VISIBLE_DEVICES']",
        PLANNED,
        "GPU-0-card GPU-1-card",
    ),
}


@pytest.mark.parametrize("case", SCRIPTS)
def test_a_script_plans_for_all_its_cards_and_each_worker_sees_one(write_suite, tmp_path, case):
    (tmp_path / "nvidia-smi").write_text(CARDS)
    (tmp_path / "nvidia-smi").chmod(0o755)
    there = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"}
    there["PATH"] = f"{tmp_path}:{there['PATH']}"
    prepared, call, cards = SCRIPTS[case]
    text = ON_CARDS.replace("PREPARED", prepared).replace("CALL", call)
    script = tmp_path / "script.py"
    script.write_text(text.replace("CARDS", cards))
    done = subprocess.run(
        [sys.executable, script, write_suite(SUITE), tmp_path / "run"],
        capture_output=True, text=True, check=False, timeout=300, env=there,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1:] == ["ok None"], done.stdout + done.stderr
