"""A served model is asked and scored, and paired with local cells; nothing else is claimed of it."""

import pytest
from model_server import Fault, model_server, question_of

from harness.analysis.leaderboard import build_leaderboard
from harness.backends.base import Alone
from harness.errors import HarnessError, SuiteError
from harness.plan.cell import cell_of_record
from harness.plan.expand import expand
from harness.plan.plan import make_plan, write_plan
from harness.results.paths import read_json, write_json
from harness.results.reading import read_predictions
from harness.results.records import Environment
from harness.results.run import load_run
from harness.results.tidy import tidy_records
from harness.run.answer import answers, saved_adapter
from harness.run.worker import run_cell
from harness.suite.loading import load_suite

SUITE = """\
name: served
matrix:
  model:
    - tiny-qwen2
    - name: deployed
      endpoint: {base_url: "BASE_URL", model: m, max_retries: 0EXTRA}
  adapter: [base]
  dataset: [{name: DATASET, train: 8, test: 10}]
evaluation: {batch_size: 4, noise_examples: 4EVALUATION}
generation: {max_new_tokens: 16}
"""


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    with model_server() as served:
        yield served


@pytest.fixture
def suite(server, write_suite):
    def write(*, extra="", evaluation="", dataset="ru-calculations"):
        text = SUITE.replace("BASE_URL", server.base_url).replace("EXTRA", extra)
        return write_suite(text.replace("EVALUATION", evaluation), dataset=dataset)

    return write


@pytest.fixture
def served(suite, tmp_path):
    """Runs the served cell of a suite; its result, its records and its folder."""

    def run(*, name="out", **changes):
        plan = make_plan(suite(**changes), tmp_path / name, select="model=deployed")
        (decision,) = plan.decisions
        paths = plan.run.cell(decision.key)
        write_json(paths.cell, decision.job(Environment()))
        return run_cell(paths, Alone()), read_predictions(paths.predictions), paths

    return run


def test_a_served_model_has_one_cell_a_data_set_that_is_neither_trained_nor_measured(suite):
    path = suite()
    text = path.read_text().replace("[base]", "[base, {name: lora-r4, config: {r: 4}}]")
    path.write_text(text.replace("  adapter", "  quantization: [none, nf4]\n  adapter"))
    cells = [c for c in expand(load_suite(path), path) if c.model.name == "deployed"]
    (cell,) = cells
    assert (cell.quantization, cell.adapter, cell.seed) == ("served", "served", None)
    assert not cell.is_baseline
    assert not cell.is_measured
    assert cell.backend == "served"


def test_answers_are_scored_with_what_the_server_said(served, server):
    result, records, _ = served()
    assert result.status == "ok"
    assert [r["prediction"] for r in records] == [
        f"I was asked: {r['example_prompt']}" for r in records
    ]
    assert {r["decoded_by"] for r in records} == {"server"}
    assert result.value("exact_match").n == 10
    for name in ("eval_loss", "latency_p50_ms", "batch_tokens_per_s", "load_rss_mib"):
        assert result.value(name) is None
    facts = result.facts["served"]
    assert facts["servers"] == [{"model": "weights-a", "system_fingerprint": "fp_1", "answers": 10}]
    assert facts["settings"] == {"max_tokens": 16, "temperature": 0}
    assert facts["finish_reasons"] == {"stop": 10}
    assert (facts["asked"], facts["from_cache"], facts["prompt_tokens"]) == (10, 0, 70)
    # the first ones again, for the noise floor: a server may answer otherwise beside other requests
    assert result.noise.examples == 4
    assert len(server.asked) == 14


def test_cut_answers_are_counted(served, server):
    def cut(body):
        message = {"role": "assistant", "content": "5"}
        return {"choices": [{"message": message, "finish_reason": "length"}]}

    server.answer = cut
    result, _, _ = served()
    assert result.value("truncated_share").value == 1.0


def test_an_end_that_local_models_do_not_have_is_a_warning(served, server):
    ends = iter(["content_filter", "tool_calls"] + ["stop"] * 20)

    def filtered(body):
        return {"choices": [{"message": {"content": ""}, "finish_reason": next(ends)}]}

    server.answer = filtered
    result, _, _ = served(extra=", concurrency: 1")
    assert any("(content_filter: 1, tool_calls: 1)" in text for text in result.audit.warnings)


def test_answers_of_two_servers_are_a_warning(served, server):
    def changing(body):
        server.fingerprint = "fp_2" if len(server.asked) > 4 else "fp_1"
        return "5"

    server.answer = changing
    result, _, _ = served(extra=", concurrency: 1")
    text = "answers come from 2 servers: weights-a fp_2 (6), weights-a fp_1 (4)"
    assert text in result.audit.warnings


PROMPTS = {
    "chat": ("", "/v1/chat/completions", "messages"),
    "plain": ("      card: {prompt: plain}\n", "/v1/completions", "prompt"),
}


@pytest.mark.parametrize("style", PROMPTS)
def test_a_prompt_style_decides_what_is_sent(suite, server, tmp_path, style):
    card, address, key = PROMPTS[style]
    path = suite()
    path.write_text(path.read_text().replace("      endpoint", f"{card}      endpoint"))
    plan = make_plan(path, tmp_path / "out", select="model=deployed")
    paths = plan.run.cell(plan.decisions[0].key)
    write_json(paths.cell, plan.decisions[0].job(Environment()))
    run_cell(paths, Alone())
    assert set(server.paths) == {address}
    assert all(key in body for body in server.asked)


def test_a_label_is_asked_for_and_read(served, server):
    server.answer = lambda body: question_of(body).rpartition(": ")[2].partition(",")[0]
    result, records, _ = served(dataset="finance-labels")
    assert {r["predicted_label"] for r in records} == {result.labels[0]}
    assert "Which of these is the text:" in question_of(server.asked[0])
    assert result.answered_by == "generation"


def test_the_control_set_needs_likelihoods_and_is_left_out(served):
    result, _, _ = served(evaluation=", control: everyday")
    assert not any(value.metric.startswith("control") for value in result.values)


def test_a_lasting_failure_is_the_cells_with_its_cause(served, server):
    server.faults = [Fault(404, b"no model m")] * 20
    with pytest.raises(HarnessError, match="no model m"):
        served()


def test_a_second_run_asks_for_what_it_must(served, server):
    served()
    asked = len(server.asked)
    result, _, _ = served(name="again")
    facts = result.facts["served"]
    assert (facts["asked"], facts["from_cache"]) == (3, 7)
    assert len(server.asked) - asked == 3 + 3  # of the answers, and of those given again


def test_a_server_that_moved_is_still_the_same_cell(suite, server):
    first, moved = (
        make_plan(path, path.parent / "out", select="model=deployed").decisions[0].fingerprint
        for path in (suite(), suite(extra=", timeout_s: 9, concurrency: 2, api_key_env: KEY"))
    )
    assert first == moved
    changed = make_plan(suite(extra=", extra_body: {top_k: 1}"), None, select="model=deployed")
    assert changed.decisions[0].fingerprint != first


def test_a_served_cell_needs_no_card_and_little_memory(suite):
    (decision,) = make_plan(suite(), None, select="model=deployed").decisions
    assert (decision.action, decision.needs_gib, decision.memory) == ("run", 0.5, None)


def test_without_its_key_a_served_cell_is_skipped_with_the_variables_name(suite, monkeypatch):
    monkeypatch.delenv("MY_KEY", raising=False)
    path = suite(extra=", api_key_env: MY_KEY")
    (decision,) = make_plan(path, None, select="model=deployed").decisions
    assert (decision.action, decision.reason) == (
        "skip", "deployed: its key is not there: set the environment variable MY_KEY",
    )  # fmt: skip
    monkeypatch.setenv("MY_KEY", "sk-1")
    (decision,) = make_plan(path, None, select="model=deployed").decisions
    assert decision.action == "run"


def test_who_looks_for_vllm_reads_how_to_score_it(suite):
    with pytest.raises(
        SuiteError, match=r"suite.yaml:\d+: evaluation.*no `engine: vllm`.*vllm serve"
    ):
        load_suite(suite(evaluation=", engine: vllm"))


def test_a_served_cell_answers_new_prompts_and_has_nothing_to_share(served, tmp_path):
    _, _, paths = served()
    cell = cell_of_record(read_json(paths.cell)["cell"])
    assert answers(cell, paths, ["How much?"], {}) == ["I was asked: How much?"]
    with pytest.raises(HarnessError, match="a server answered for this cell"):
        saved_adapter(paths, {})


def test_a_local_cells_fingerprint_knows_no_endpoint(suite):
    plan = make_plan(suite(), None, select="model=tiny-qwen2")
    cell = plan.decisions[0].cell
    assert cell.model.endpoint is None
    from harness.plan.cell import cell_record, identity_of

    assert "endpoint" not in identity_of(cell_record(cell)["model"], cell.model)


def test_a_setting_that_no_server_takes_is_refused_before_anything_runs(suite):
    path = suite()
    path.write_text(path.read_text().replace("{max_new_tokens: 16}", "{repetition_penalty: 1.2}"))
    with pytest.raises(
        HarnessError, match='model "deployed": generation: repetition_penalty cannot be sent'
    ):
        expand(load_suite(path), path)


def test_a_baseline_that_is_not_on_the_axis_is_refused(suite):
    path = suite(extra=", baseline: tiny-qwen")
    with pytest.raises(HarnessError, match=r'no local model "tiny-qwen" on the axis\n.*tiny-qwen2'):
        expand(load_suite(path), path)


WRONG = {
    "an unknown key": (", key: x", 'unknown key "key"'),
    "a key in the suite": (", api_key: sk-1", 'unknown key "api_key"'),
    "no patience": (", timeout_s: 0", "greater than 0"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_endpoint_is_one_line_with_its_place(suite, name):
    extra, text = WRONG[name]
    with pytest.raises(SuiteError, match=text) as error:
        load_suite(suite(extra=extra))
    assert "suite.yaml:6: matrix.model.1.endpoint" in str(error.value)


def test_a_served_row_is_compared_with_the_local_model_that_its_suite_names(
    suite, server, tmp_path
):
    server.answer = lambda body: "5"
    plan = make_plan(suite(extra=", baseline: tiny-qwen2"), tmp_path / "out")
    for decision in plan.decisions:
        paths = plan.run.cell(decision.key)
        job = decision.job(Environment())
        if decision.cell.model.name == "tiny-qwen2":
            job["cell"]["backend"] = "testing"  # a local cell without a model
        write_json(paths.cell, job)
        run_cell(paths, Alone())
    write_plan(plan, Environment())
    run = load_run(plan.run.directory)
    kinds = {record["model"]: record["kind"] for record in tidy_records(run)}
    assert kinds == {"tiny-qwen2": "baseline", "deployed": "served"}
    (table,) = build_leaderboard(run).tables
    local, deployed = table.rows
    assert deployed.baseline.key == local.cells[0].key
    assert deployed.incomparable is None
    delta = deployed.deltas["chrf"]
    assert delta.n == 10
    assert delta.delta == pytest.approx(deployed.mean("chrf") - local.mean("chrf"))
