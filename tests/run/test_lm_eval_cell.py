"""Tasks of lm-evaluation-harness as cells: their numbers are those of the tool's own run."""

import copy
import json

import pytest
from lm_eval_tasks import write_tasks

import harness
from harness.report.lm_eval_layout import write_lm_eval

pytest.importorskip("lm_eval", reason="the extra lm-eval is not installed")

SUITE = """\
name: tasks
matrix:
  model: [tiny-qwen2]
  quantization: [none, nf4]
  adapter: [{name: lora-r2, config: {r: 2, target_modules: all-linear}}]
  dataset:
    - {name: capitals, source: capitals.csv, train: 8, test: 4}
    - {name: pick, source: "lm_eval:pick", include_path: tasks, train_on: capitals}
    - {name: few, source: "lm_eval:pick", include_path: tasks, train_on: capitals,
       num_fewshot: 2, limit: 3, evaluation: {batch_size: 1}}
    - {name: sums, source: "lm_eval:sums", include_path: tasks, train_on: capitals,
       apply_chat_template: true, num_fewshot: 1}
    - {name: texts, source: "lm_eval:texts", include_path: tasks, train_on: capitals}
    - {name: pair, source: "lm_eval:pair", include_path: tasks, train_on: capitals}
exclude:
  - {quantization: nf4, adapter: lora-r2}
  - {quantization: nf4, dataset: capitals}
  - {quantization: nf4, dataset: few}
  - {quantization: nf4, dataset: sums}
  - {quantization: nf4, dataset: texts}
  - {quantization: nf4, dataset: pair}
  - {adapter: lora-r2, dataset: pair}
  - {adapter: lora-r2, dataset: pick}
training: {max_steps: 2, per_device_train_batch_size: 4, learning_rate: 1.0e-2}
evaluation: {batch_size: 4, latency_prompts: 0, noise_examples: 0}
generation: {max_new_tokens: 4}
"""
FEW = {"num_fewshot": 2, "limit": 3, "batch_size": 1}
CHAT = {"num_fewshot": 1, "apply_chat_template": True}


@pytest.fixture(scope="module")
def run(tmp_path_factory, request):
    """The suite's run, its cells in this process: the folder is where the suite is."""
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "models").symlink_to(request.config.rootpath / "models")
    write_tasks(folder / "tasks")
    rows = [f"The capital of land {k}?,City {k}" for k in range(16)]
    (folder / "capitals.csv").write_text("\n".join(["prompt,completion", *rows]))
    (folder / "suite.yaml").write_text(SUITE)
    return harness.run(folder / "suite.yaml", output=folder / "run", executor="in_process")


def the_cell(run, dataset, adapter="base", quantization="none"):
    wanted = {"dataset": dataset, "adapter": adapter, "quantization": quantization}
    (cell,) = [c for c in run.cells if wanted.items() <= c.axes.items()]
    assert cell.status == "ok", cell.reason
    return cell


def quantized(source):
    """`source` in nf4: the tool's own `load_in_4bit` does not work with transformers 5."""
    from lm_eval.models.huggingface import HFLM
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    config = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype="float32",
    )  # fmt: skip
    model = AutoModelForCausalLM.from_pretrained(
        source, quantization_config=config, dtype="float32"
    )
    return HFLM(pretrained=model, batch_size=4)


OWN = {}
"""What was asked of the tool → what it found: several tests look at it."""


def by_the_tool(run, task, root, *, adapter="base", quantization="none", batch_size=4, **how):
    """What `lm_eval` itself finds, which loads model, tokenizer and adapter by itself."""
    asked = (task, adapter, quantization, batch_size, *sorted(how.items()))
    if asked not in OWN:
        with pytest.MonkeyPatch.context() as patch:  # it lists compilers and drivers, for seconds
            patch.setattr("lm_eval.evaluator.add_env_info", lambda storage: None)
            OWN[asked] = _by_the_tool(run, task, root, adapter, quantization, batch_size, how)
    return copy.deepcopy(OWN[asked])


def _by_the_tool(run, task, root, adapter, quantization, batch_size, how):
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    args = {"pretrained": str(root / "models/tiny/tiny-qwen2"), "dtype": "float32"}
    if adapter != "base":
        trained = the_cell(run, "capitals", adapter)
        args["peft"] = str(run.directory / "cells" / trained.key / "adapter")
    manager = TaskManager(include_path=str(run.directory.parent / "tasks"), include_defaults=False)
    return simple_evaluate(
        model="hf" if quantization == "none" else quantized(args["pretrained"]),
        model_args=args if quantization == "none" else None, tasks=[task], device="cpu",
        task_manager=manager, batch_size=batch_size, bootstrap_iters=0, **how,
    )  # fmt: skip


def plain(samples):
    from lm_eval.utils import handle_non_serializable

    found = json.loads(json.dumps(samples, default=handle_non_serializable))
    return sorted(found, key=lambda sample: (sample["doc_id"], sample["filter"]))


@pytest.mark.parametrize(
    ("dataset", "task", "adapter", "quantization", "how"),
    [
        ("pick", "pick", "base", "none", {}),
        ("pick", "pick", "base", "nf4", {}),
        ("few", "pick", "base", "none", FEW),
        ("few", "pick", "lora-r2", "none", FEW),
        ("sums", "sums", "base", "none", CHAT),
        ("sums", "sums", "lora-r2", "none", CHAT),
        ("texts", "texts", "base", "none", {}),
        ("texts", "texts", "lora-r2", "none", {}),
    ],
)  # fmt: skip
def test_every_number_and_every_sample_is_the_tool_s_own(
    run, root, dataset, task, adapter, quantization, how
):
    cell = the_cell(run, dataset, adapter, quantization)
    own = by_the_tool(run, task, root, adapter=adapter, quantization=quantization, **how)
    stated = {
        name.removesuffix(",none"): value
        for name, value in own["results"][task].items()
        if isinstance(value, float)
    }
    assert stated
    assert {name: cell.value(name).value for name in stated} == stated
    samples = [s for record in run.predictions(cell) for s in record["lm_eval"]]
    assert plain(samples) == plain(own["samples"][task])


def test_a_group_is_scored_over_the_documents_of_all_its_tasks(run, root):
    cell, own = the_cell(run, "pair"), by_the_tool(run, "pair", root)
    assert cell.value("acc").value == pytest.approx(own["groups"]["pair"]["acc,none"], rel=1e-12)
    assert cell.value("acc").n == 13
    for member in ("pick", "more"):
        assert cell.value("acc", member).value == own["results"][member]["acc,none"]


def test_the_adapter_is_trained_once_and_tested_on_every_task(run):
    trained = the_cell(run, "capitals", "lora-r2")
    for dataset in ("few", "sums", "texts"):
        cell = the_cell(run, dataset, "lora-r2")
        assert cell.provenance.reused["train"].cell == trained.key
        assert cell.stages["train"] == trained.stages["train"]
        assert cell.data["train_rows"] == 8
    answers = [
        [r["lm_eval"][0]["resps"] for r in run.predictions(the_cell(run, "texts", adapter))]
        for adapter in ("base", "lora-r2")
    ]
    assert answers[0] != answers[1]


def test_an_adapter_trains_for_a_task_alone_where_its_own_cell_is_not_selected(run, tmp_path):
    alone = harness.run(
        run.directory.parent / "suite.yaml", output=tmp_path / "alone", executor="in_process",
        select="dataset=texts,quantization=none,adapter=lora-r2",
    )  # fmt: skip
    cell, shared = the_cell(alone, "texts", "lora-r2"), the_cell(run, "texts", "lora-r2")
    assert not cell.provenance.reused
    assert cell.key == shared.key
    assert cell.value("nll").value == shared.value("nll").value


def test_results_say_versions_shots_and_documents(run):
    from importlib.metadata import version

    cell = the_cell(run, "few")
    told = cell.facts["lm_eval"]
    assert told["lm_eval_version"] == version("lm_eval")
    assert (told["versions"]["pick"], told["n-shot"]["pick"]) == (1.0, 2)
    assert told["n-samples"]["pick"] == {"original": 9, "effective": 3}
    assert cell.value("acc").signature.startswith("acc|lm_eval|pick|v:1.0|shots:2|lm_eval:")
    assert "|shots:1|chat|lm_eval:" in the_cell(run, "sums").values[0].signature


def test_an_answer_to_choices_is_the_likeliest_one(run):
    for record in run.predictions(the_cell(run, "pick")):
        (sample,) = record["lm_eval"]
        assert record["prediction"] in sample["doc"]["choices"]
        assert (record["prediction"] == record["reference"]) == bool(record["scores"]["acc"])


def test_documents_are_paired_and_the_direction_is_the_task_s(run):
    board = harness.leaderboard(run)
    tables = {table.dataset: table for table in board.tables}
    assert (tables["pick"].primary_metric, tables["pick"].higher_is_better) == ("acc_norm", True)
    assert (tables["texts"].primary_metric, tables["texts"].higher_is_better) == ("nll", False)
    (row,) = [r for r in tables["texts"].rows if r.adapter == "lora-r2"]
    assert row.deltas["nll"].n == 9


def test_a_current_run_is_left_alone_and_scoring_again_changes_nothing(run):
    plan = harness.plan(run.directory.parent / "suite.yaml", output=run.directory)
    assert {decision.action for decision in plan.decisions} == {"current"}
    before = the_cell(run, "pick").values
    harness.score(run.directory)
    assert the_cell(harness.load_run(run.directory), "pick").values == before


def test_an_edited_document_is_run_again(run):
    data = run.directory.parent / "tasks" / "texts.jsonl"
    text = data.read_text()
    try:
        data.write_text(text.replace("house", "boat"))
        plan = harness.plan(run.directory.parent / "suite.yaml", output=run.directory)
        assert {d.cell.dataset.name for d in plan.of("run")} == {"texts"}
    finally:
        data.write_text(text)


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    """The run in the tool's layout."""
    return write_lm_eval(run, tmp_path_factory.mktemp("exported"))


@pytest.mark.parametrize(
    ("dataset", "task", "how"),
    [("few", "pick", FEW), ("sums", "sums", CHAT), ("texts", "texts", {})],
)
def test_exported_samples_are_the_files_that_the_tool_writes(
    run, root, exported, tmp_path, dataset, task, how
):
    from lm_eval.loggers import EvaluationTracker

    own = by_the_tool(run, task, root, **how)
    tracker = EvaluationTracker(output_path=str(tmp_path))
    tracker.general_config_tracker.model_name_sanitized = "m"
    tracker.save_results_aggregated(own, own["samples"])
    tracker.save_results_samples(task, own["samples"][task])
    (theirs,), (ours,) = (
        list(folder.rglob("samples_*.jsonl"))
        for folder in (tmp_path, exported / "tiny-qwen2--none--base" / dataset)
    )
    key = lambda sample: (sample["doc_id"], sample["filter"])  # noqa: E731
    lines = [sorted(map(json.loads, f.read_text().splitlines()), key=key) for f in (theirs, ours)]
    assert lines[0] == lines[1]
    results = [
        json.loads(next(f.parent.glob("results_*.json")).read_text()) for f in (theirs, ours)
    ]
    for part in ("results", "versions", "n-shot", "higher_is_better", "n-samples"):
        values = [
            {k: v for k, v in each[part][task].items() if "_stderr" not in k}
            if isinstance(each[part][task], dict)
            else each[part][task]
            for each in results
        ]
        assert values[0] == values[1], part
    if len(lines[0]) == results[0]["n-samples"][task]["effective"]:  # one filter: one order
        assert results[0]["task_hashes"] == results[1]["task_hashes"]


def test_what_was_exported_is_imported_as_the_same_run(run, exported, tmp_path):
    from lm_eval.utils import make_table

    from harness.importers import import_results

    import_results([exported], tmp_path / "back", name="back")
    back = harness.load_run(tmp_path / "back")
    ours = {(c.dataset, c.adapter, c.quantization): c for c in run.cells if c.dataset != "pair"}
    theirs = {(c.dataset, c.adapter, c.quantization): c for c in back.cells}
    assert ours.keys() <= theirs.keys()
    for axes, cell in ours.items():
        found = {v.metric: v.value for v in theirs[axes].values}
        scored = {v.metric: v.value for v in cell.values if v.metric in found}
        assert scored
        assert found == pytest.approx(scored, rel=1e-12), axes
    for results in exported.rglob("results_*.json"):
        assert "|" in make_table(json.loads(results.read_text()))


def test_a_run_without_texts_is_not_exported(run, tmp_path):
    with pytest.raises(harness.HarnessError, match="quote the data"):
        harness.report(run.directory, tmp_path / "out", texts=False, lm_eval=True)
