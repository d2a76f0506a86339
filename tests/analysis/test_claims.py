import pytest

from harness.analysis.claims import judge
from harness.analysis.leaderboard import build_leaderboard
from harness.errors import HarnessError
from harness.plan.plan import make_plan
from harness.results.run import load_run
from harness.run.runner import run_here

SUITE = """\
name: audit
matrix:
  model: [qwen2-0.5b-instruct, tiny-qwen2]
  quantization: [none, int8]
  adapter:
    - {name: all, config: {r: 8, target_modules: all-linear}}
    - {name: default, config: {r: 8}}
  dataset: [{name: ru-calculations, train: 60, test: 40}]
training: {per_device_train_batch_size: 2, gradient_accumulation_steps: 4}
source: {title: A project, read: its README, readings: {as-run: otherwise}}
published:
  - {claim: trains 4.4 M, value: 4.4e+6, metric: trainable_params, cell: {model: qwen2-0.5b-instruct, adapter: all}}
  - {claim: which is 0.1%, value: 0.1, metric: trainable_percent, cell: {model: qwen2-0.5b-instruct, adapter: all}}
  - {claim: 0.59 GiB in 8 bits, value: 0.588, metric: weights_gib, cell: {model: qwen2-0.5b-instruct, quantization: int8}}
  - {claim: batch of 8, value: 8, metric: effective_batch, cell: {model: qwen2-0.5b-instruct, adapter: default}}
  - {claim: right three times of four, value: 0.75, metric: numeric_accuracy, tolerance: 0.2, cell: {model: tiny-qwen2, adapter: all}}
  - {claim: always right, value: 1.0, metric: numeric_accuracy, cell: {model: tiny-qwen2, adapter: all}}
  - {claim: fast, value: 10, metric: train_seconds, cell: {model: qwen2-0.5b-instruct, adapter: all}}
  - {claim: better, holds: "no", finding: nothing was compared}
tiny: {model: tiny-llama, dataset: {train: 30, test: 10}, training: {max_steps: 2}}
"""


@pytest.fixture
def board(write_suite, tmp_path):
    def make(tiny=False):
        plan = make_plan(write_suite(SUITE), tmp_path / "out", tiny=tiny, backend="testing")
        run_here(plan)
        return build_leaderboard(load_run(tmp_path / "out"))

    return make


def test_claims_are_held_against_arithmetic_and_measurement(board):
    made = board()
    found = {j.claim.claim: (j.how, j.verdict) for j in judge(made.run.suite["claims"], made)}
    assert found == {
        "trains 4.4 M": ("arithmetic", "agrees"),
        "which is 0.1%": ("arithmetic", "disagrees"),
        "0.59 GiB in 8 bits": ("arithmetic", "agrees"),
        "batch of 8": ("arithmetic", "agrees"),
        "right three times of four": ("measured", "agrees"),
        "always right": ("measured", "disagrees"),
        "fast": ("–", "not runnable here"),
        "better": ("read", "disagrees"),
    }


def test_a_tiny_twin_runs_the_same_path_and_measures_no_claim_of_the_real_model(board):
    made = board(tiny=True)
    assert {cell.model for cell in made.run.cells} == {"tiny-llama"}
    assert {cell.quantization for cell in made.run.cells} == {"none", "int8"}
    assert made.run.suite["name"] == "audit-tiny"
    tuned = next(cell for cell in made.run.cells if cell.adapter == "all")
    assert tuned.provenance.cell["training"]["max_steps"] == 2
    judged = judge(made.run.suite["claims"], made)
    assert not [j for j in judged if j.how == "measured"]
    why = next(j.why for j in judged if j.claim.claim == "fast")
    assert "needs a CUDA GPU" in why or "no row" in why


def test_a_claim_of_no_cell_is_an_error(write_suite, tmp_path):
    suite = write_suite(SUITE.replace("adapter: default}}", "adapter: nothing}}"))
    with pytest.raises(HarnessError, match=r"published\.3\.cell: no cell is"):
        make_plan(suite, tmp_path / "out")


@pytest.mark.parametrize("claim", ["{claim: x}", "{claim: x, holds: no}", "{claim: x, value: 1}"])
def test_a_claim_that_nothing_can_decide_is_refused(write_suite, tmp_path, claim):
    suite = write_suite(
        SUITE.replace('{claim: better, holds: "no", finding: nothing was compared}', claim)
    )
    with pytest.raises(HarnessError, match=r"published\.7"):
        make_plan(suite, tmp_path / "out")


def test_a_suite_without_a_tiny_twin_says_so(write_suite, tmp_path):
    with pytest.raises(HarnessError, match="no tiny twin"):
        make_plan(write_suite(SUITE.rpartition("tiny:")[0]), tmp_path / "out", tiny=True)
