"""What lm-evaluation-harness logs, and what it becomes: table by table of the tool's own shapes."""

import json
import math

import pytest
from click.testing import CliRunner

from harness.analysis.leaderboard import build_leaderboard
from harness.cli import main
from harness.results.run import load_run

TIME = "2026-01-02T03-04-05.678901"


def line(i, values, chosen="none"):
    """One document as 0.4.9 logs it."""
    return {
        "doc_id": i, "doc": {"text": f"d{i}"}, "target": f"a{i}",
        "arguments": {"gen_args_0": {"arg_0": f"Question {i}", "arg_1": f"a{i}"}},
        "resps": [[f"t{i}"]], "filtered_resps": [f"t{i}"], "filter": chosen,
        "metrics": list(values), "doc_hash": f"d{i:063}", "prompt_hash": f"p{i:063}",
        "target_hash": "t", **values,
    }  # fmt: skip


def write(folder, lines, *, task="tiny", time=TIME, args="pretrained=m", **more):
    """A log and its results file; ``more``: higher_is_better, metric_list, results, dtype."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"samples_{task}_{time}.jsonl"
    path.write_text("".join(f"{json.dumps(each)}\n" for each in lines))
    record = {
        "results": {task: {"alias": task, **more.get("results", {})}},
        "configs": {task: {"task": task, "metric_list": more.get("metric_list", [])}},
        "versions": {task: 1.0}, "n-shot": {task: 0},
        "higher_is_better": {task: more.get("higher_is_better", {})},
        "n-samples": {task: {"original": len(lines), "effective": len(lines)}},
        "config": {"model": "hf", "model_args": args, "model_dtype": more.get("dtype")},
        "model_name": "m", "lm_eval_version": "0.4.9",
    }  # fmt: skip
    (folder / f"results_{time}.json").write_text(json.dumps(record))
    return path


def imported(*sources, out):
    found = CliRunner().invoke(
        main, ["import", *map(str, sources), "-o", str(out)], catch_exceptions=False
    )
    assert found.exit_code == 0, found.output
    return load_run(out)


def the_cell(tmp_path, lines, **more):
    write(tmp_path / "log", lines, **more)
    run = imported(tmp_path / "log", out=tmp_path / "run")
    return run, run.cells[0]


def entry(metric, aggregation, direction):
    return {"metric": metric, "aggregation": aggregation, "higher_is_better": direction}


@pytest.mark.parametrize(
    ("metric", "stated", "listed", "direction"),
    [
        ("my_error", False, None, False), ("my_error", None, False, False),
        ("my_gain", True, None, True), ("mystery", None, None, None), ("acc", None, None, True),
        ("ter", None, None, False), ("acc", False, True, False),
    ],
)  # fmt: skip
def test_a_metric_s_direction_is_the_results_file_s(tmp_path, metric, stated, listed, direction):
    more = {"higher_is_better": {metric: stated} if stated is not None else {}}
    if listed is not None:
        more["metric_list"] = [entry(metric, "mean", listed)]
    _, cell = the_cell(tmp_path, [line(i, {metric: i / 10}) for i in range(8)], **more)
    assert cell.value(metric).higher_is_better is direction


@pytest.mark.parametrize("listed", [True, False])
def test_lambada_s_perplexity_is_exp_of_the_mean_negative_log_likelihood(tmp_path, listed):
    logged = [-1.5, -0.25, -4.0, -2.0]
    more = {"metric_list": [entry("perplexity", "perplexity", False)]} if listed else {}
    lines = [line(i, {"perplexity": v, "acc": int(v > -1)}) for i, v in enumerate(logged)]
    run, cell = the_cell(tmp_path, lines, task="lambada_openai", **more)
    value = cell.value("perplexity")
    assert value.value == pytest.approx(math.exp(7.75 / 4))
    assert value.higher_is_better is False
    assert cell.primary_metric == "acc"
    scores = [record["scores"] for record in run.predictions(cell)]
    assert [s["nll"] for s in scores] == [1.5, 0.25, 4.0, 2.0]
    assert all("perplexity" not in s for s in scores)


def test_word_perplexity_is_of_sums_over_words(tmp_path):
    logged = [(-120.0, 30), (-45.5, 10), (-300.0, 90)]
    values = [
        {"word_perplexity": [ll, w], "byte_perplexity": [ll, 5 * w], "bits_per_byte": [ll, 5 * w]}
        for ll, w in logged
    ]
    run, cell = the_cell(
        tmp_path, [line(i, v) for i, v in enumerate(values)], task="wikitext",
        metric_list=[
            entry("word_perplexity", "weighted_perplexity", False),
            entry("byte_perplexity", "weighted_perplexity", False),
            entry("bits_per_byte", "bits_per_byte", False),
        ],
    )  # fmt: skip
    nats = 465.5 / 130
    assert cell.value("word_perplexity").value == pytest.approx(math.exp(nats))
    assert cell.value("byte_perplexity").value == pytest.approx(math.exp(nats / 5))
    assert cell.value("bits_per_byte").value == pytest.approx(nats / 5 / math.log(2))
    assert cell.primary_metric == "nll"
    assert [r["scores"] for r in run.predictions(cell)] == [
        {"nll": 120.0}, {"nll": 45.5}, {"nll": 300.0},
    ]  # fmt: skip


def test_a_corpus_metric_is_the_tool_s_own_number(tmp_path):
    lines = [line(i, {"bleu": [f"a{i}", f"b{i}"], "exact_match": i % 2}) for i in range(6)]
    more = {"metric_list": [entry("bleu", "bleu", True)], "results": {"bleu,none": 12.5}}
    _, cell = the_cell(tmp_path, lines, **more)
    value = cell.value("bleu")
    assert (value.value, value.higher_is_better, value.ci_low) == (12.5, True, None)
    assert "aggregated by bleu" in value.note


def test_missing_scores_stay_in_the_denominator(tmp_path):
    hits = [1] * 281 + [0] * 210
    lines = [line(i, {"exact_match": hit}) for i, hit in enumerate(hits)]
    lines += [line(i, {"exact_match": None}) for i in range(491, 494)]
    lines += [line(494, {"exact_match": math.nan}), line(495, {})]
    run, cell = the_cell(tmp_path, lines)
    value = cell.value("exact_match")
    assert (value.value, value.n) == (pytest.approx(281 / 496), 496)
    assert value.note.startswith("5 of 496 documents have no score and count as wrong")
    assert cell.audit.warnings == (f"exact_match: {value.note}",)
    assert "5 of 496 documents" in (tmp_path / "run" / "leaderboard.md").read_text()
    assert len(run.predictions(cell)) == 496


def test_missing_values_of_no_share_are_left_out_and_counted(tmp_path):
    lines = [line(i, {"my_error": v}) for i, v in enumerate([2.5, math.nan, 0.5, math.inf])]
    _, cell = the_cell(tmp_path, lines, higher_is_better={"my_error": False})
    value = cell.value("my_error")
    assert (value.value, value.n) == (1.5, 2)
    assert value.note == "2 of 4 documents have no score and are left out"


def test_the_tool_s_own_number_is_said_where_it_differs(tmp_path):
    lines = [line(i, {"acc": i % 2}) for i in range(4)]
    _, cell = the_cell(tmp_path, lines, results={"acc,none": 0.75})
    assert (cell.value("acc").value, cell.value("acc").note) == (0.5, "the results file says 0.75")


def test_two_precisions_of_one_model_in_a_folder_are_two_cells(tmp_path):
    for hour, dtype in enumerate(("float16", "float32")):
        args = f"pretrained=org/m,dtype={dtype}"
        lines = [line(i, {"acc": (i + hour) % 2}) for i in range(6)]
        write(tmp_path / "log", lines, time=f"2026-01-02T0{hour}-00-00.000000", args=args)
    run = imported(tmp_path / "log", out=tmp_path / "run")
    assert [cell.quantization for cell in run.cells] == ["float16", "float32"]


def test_of_one_model_evaluated_again_the_newest_counts(tmp_path):
    for hour in range(2):
        lines = [line(i, {"acc": hour}) for i in range(6)]
        write(tmp_path / "log", lines, time=f"2026-01-02T0{hour}-00-00.000000")
    (cell,) = imported(tmp_path / "log", out=tmp_path / "run").cells
    assert cell.value("acc").value == 1.0


@pytest.mark.parametrize(
    ("first", "second"),
    [("Модель-А", "Модель-Б"), ("模型一", "模型二"), ("org/Ünì", "org/Ünï")],
)
def test_names_of_any_script_stay_apart(tmp_path, first, second):
    for folder, name in (("a", first), ("b", second)):
        write(
            tmp_path / folder, [line(0, {"acc": 1}), line(1, {"acc": 0})], args={"pretrained": name}
        )
    run = imported(tmp_path / "a", tmp_path / "b", out=tmp_path / "run")
    assert len({cell.model for cell in run.cells}) == 2


def test_a_log_of_an_older_version_does_not_take_the_target_for_a_score(tmp_path):
    lines = [{**line(i, {"acc": i % 2}), "target": i} for i in range(4)]
    for each in lines:
        del each["metrics"]
    _, cell = the_cell(tmp_path, lines)
    assert [value.metric for value in cell.values] == ["acc"]


def test_a_lower_error_is_better(tmp_path):
    for folder, peft, error in (("a", "", 0.9), ("b", ",peft=x/lora", 0.1)):
        lines = [line(i, {"my_error": error + i / 1000}) for i in range(30)]
        write(tmp_path / folder, lines, args=f"pretrained=m{peft}",
              higher_is_better={"my_error": False})  # fmt: skip
    run = imported(tmp_path / "a", tmp_path / "b", out=tmp_path / "run")
    table = build_leaderboard(run).tables[0]
    assert table.rows[1].deltas["my_error"].verdict == "better"
    assert table.best().adapter == "lora"


@pytest.mark.parametrize("text", ["[]", '"x"', '{"config": 3}', "{"])
def test_a_results_file_that_is_none_is_one_clear_error(tmp_path, text):
    write(tmp_path / "log", [line(0, {"acc": 1})])
    (tmp_path / "log" / f"results_{TIME}.json").write_text(text)
    found = CliRunner().invoke(main, ["import", str(tmp_path / "log"), "-o", str(tmp_path / "r")])
    assert found.exit_code == 2
    assert f"results_{TIME}.json" in found.output
