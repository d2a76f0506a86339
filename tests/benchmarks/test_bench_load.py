"""What other load on the machine does to a latency, and to what the gate says of it.

Quiet and loaded measurements take turns; the load is a process for every core that goes through an
array larger than the caches, without end. By their milliseconds the loaded ones are of a slower
model; the gate must not say so.
"""

import statistics
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from harness.gate.baseline import CellSnapshot
from harness.gate.rule_kinds import percentage
from harness.plan.machine import machine
from harness.suite.gate_rules import Rule

ROUNDS = 6
RULE = Rule(metric="latency_p50_ms", test="percentage", tolerance=60)
"""As in `suites/ci.yaml`."""
LOAD = "import numpy as np; a = np.ones(40_000_000)\nwhile True: a *= 1.0000001"


@contextmanager
def load():
    """Every core does something else."""
    running = [subprocess.Popen([sys.executable, "-c", LOAD]) for _ in range(machine().cores)]
    try:
        time.sleep(2)
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def parts(root):
    from transformers import AutoModelForCausalLM

    from harness.backends.hf.models.loading import load_tokenizer
    from harness.suite.model_card import load_model_card

    card = load_model_card(root / "models" / "tiny-qwen2.yaml")
    tokenizer = load_tokenizer(card)
    prompts = [tokenizer(f"What is {k} percent of a bond of 500?").input_ids for k in range(5)]
    return AutoModelForCausalLM.from_pretrained(card.source).eval(), tokenizer, prompts


@pytest.fixture
def measured(parts):
    """Gives a function: the model's latency as a cell."""
    from harness.backends.hf.latency.latency import generation_latency

    return lambda: CellSnapshot("row", None, "ok", values=generation_latency(*parts, 8).values())


def outcome(new, old):
    """What the gate says of ``new`` after ``old``."""
    return percentage(RULE, RULE.metric, [new], [old]).outcome


def test_a_slower_model_is_a_regression(parts, measured, benchmark, figure):
    before = measured()
    slower = parts[0].register_forward_pre_hook(lambda *_: time.sleep(0.006))
    try:
        found = [outcome(measured(), before) for _ in range(ROUNDS)]
    finally:
        slower.remove()
    again = [outcome(measured(), before) for _ in range(ROUNDS)]
    benchmark.pedantic(measured, rounds=1)
    figure(
        f"{ROUNDS} latencies of a slower model that the gate calls a regression", f"{ROUNDS}",
        str(found.count("regression")), set(found) == {"regression"},
        more={"of the model itself": again.count("regression")},
    )  # fmt: skip
    assert "pass" not in found
    assert "regression" not in again


def test_other_load_is_no_slower_model(measured, benchmark, figure):

    quiet, loaded = [], []
    for _ in range(ROUNDS):
        quiet.append(measured())
        with load():
            loaded.append(measured())
    benchmark.pedantic(measured, rounds=1)

    def times(metric):
        calm = statistics.median(cell.values[metric] for cell in quiet)
        return [cell.values[metric] / calm for cell in loaded]

    baseline = sorted(quiet, key=lambda cell: cell.values["latency_ratio"])[ROUNDS // 2]
    said = [outcome(cell, baseline) for cell in loaded]
    milliseconds, ratios = times("latency_p50_ms"), times("latency_ratio")
    allowed = 1 + RULE.tolerance / 100
    figure(
        f"{ROUNDS} latencies under load that the gate calls a regression", "0",
        str(said.count("regression")), "regression" not in said,
        more={
            "by their milliseconds": sum(t > allowed for t in milliseconds),
            "warned of": said.count("undecided"),
            "milliseconds, median": f"{statistics.median(milliseconds):.2f} times the quiet ones",
            "ratio to the reference work, median": f"{statistics.median(ratios):.2f} times",
        },
    )  # fmt: skip
    assert "regression" not in said
    assert statistics.median(milliseconds) > 1.2, "nothing was loaded"
