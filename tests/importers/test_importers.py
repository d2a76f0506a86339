import json

import pytest
from click.testing import CliRunner

from harness.analysis.leaderboard import build_leaderboard
from harness.analysis.objectives import standings
from harness.cli import main
from harness.results.run import load_run

TIME = "2026-01-02T03-04-05.678901"


def sample(i, filters=("none",), **metrics):
    """One document as lm-evaluation-harness 0.4.13 logs it, a line per filter."""
    for name in filters:
        yield {
            "doc_id": i, "doc": {"q": f"q{i}"}, "target": f"a{i}",
            "arguments": {"gen_args_0": {"arg_0": f"Question {i}", "arg_1": {"until": ["\n"]}}},
            "resps": [[f"text {i}"]], "filtered_resps": [f"text {i}"], "filter": name,
            "metrics": list(metrics), "doc_hash": f"d{i:063}", "prompt_hash": f"p{i:063}",
            "target_hash": "t", **metrics,
        }  # fmt: skip


def write_log(folder, model_args, hits, task="gsm_tiny", filters=("none",)):
    folder.mkdir(parents=True, exist_ok=True)
    lines = [s for i, hit in enumerate(hits) for s in sample(i, filters, exact_match=float(hit))]
    path = folder / f"samples_{task}_{TIME}.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    config = {"config": {"model": "hf", "model_args": model_args}, "model_name": "x/y"}
    (folder / f"results_{TIME}.json").write_text(json.dumps(config))
    return path


def imported(*sources, out):
    arguments = ["import", *map(str, sources), "-o", str(out)]
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def test_two_logs_become_a_baseline_and_its_difference(tmp_path):
    write_log(tmp_path / "a", {"pretrained": "org/Base-1B"}, [0] * 30 + [1] * 10)
    write_log(
        tmp_path / "b", "pretrained=org/Base-1B,peft=runs/my_lora/adapter", [1] * 35 + [0] * 5
    )
    result = imported(tmp_path / "a", tmp_path / "b", out=tmp_path / "run")
    assert result.exit_code == 0, result.output
    base, tuned = load_run(tmp_path / "run").cells
    assert (base.model, base.adapter, base.seed) == ("base-1b", "base", None)
    assert (tuned.adapter, tuned.dataset) == ("my-lora", "gsm-tiny")
    row = build_leaderboard(load_run(tmp_path / "run")).tables[0].rows[1]
    delta = row.deltas["exact_match"]
    assert (delta.delta, delta.won, delta.lost, delta.verdict) == (0.625, 30, 5, "better")
    text = (tmp_path / "run" / "leaderboard.md").read_text()
    assert "gsm-tiny" in text


def test_quantization_is_read_from_the_arguments(tmp_path):
    write_log(tmp_path, "pretrained=m,load_in_4bit=True,bnb_4bit_quant_type=nf4", [1, 0])
    imported(tmp_path, out=tmp_path / "run")
    assert load_run(tmp_path / "run").cells[0].quantization == "nf4"


def test_filters_tell_equal_metrics_apart(tmp_path):
    write_log(tmp_path, "pretrained=m", [1, 0, 1], filters=("strict-match", "flexible-extract"))
    imported(tmp_path, out=tmp_path / "run")
    (cell,) = load_run(tmp_path / "run").cells
    assert cell.value("exact_match,strict-match").n == 3
    assert cell.value("exact_match,flexible-extract").value == pytest.approx(2 / 3)


def test_choices_are_named_by_their_number(tmp_path):
    path = write_log(tmp_path, "pretrained=m", [1, 0])
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        line["filtered_resps"] = [["-9.0", "False"], ["-1.5", "True"]]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    imported(tmp_path, out=tmp_path / "run")
    loaded = load_run(tmp_path / "run")
    assert loaded.predictions(loaded.cells[0])[0]["prediction"] == "choice 1"


def test_imported_runs_go_through_the_gate_and_keep_their_scores(tmp_path):
    write_log(tmp_path / "a", "pretrained=m", [1] * 30 + [0] * 10)
    imported(tmp_path / "a", out=tmp_path / "good")
    write_log(tmp_path / "a", "pretrained=m", [1] * 5 + [0] * 35)
    imported(tmp_path / "a", out=tmp_path / "bad")
    CliRunner().invoke(main, ["score", str(tmp_path / "bad")])
    gate = CliRunner().invoke(
        main, ["check", str(tmp_path / "bad"), "--against", str(tmp_path / "good")]
    )
    assert gate.exit_code == 1, gate.output


def peft_result(accuracy, **train):
    last = {"step": 5000, "test accuracy": accuracy, "train loss": 0.7}
    return {
        "run_info": {"experiment_name": "lora/x", "train_config": {"model_id": "o/Llama-3B"},
                     "error_msg": train.pop("error", "")},
        "train_info": {"status": "success", "train_time": 1800.0, "accelerator_memory_max": 2**34,
                       "num_trainable_params": 10, "file_size": 2**20, "metrics": [last], **train},
        "meta_info": {"system_info": {"accelerator": "L40S"},
                      "package_info": {"peft-version": "0.15"}},
    }  # fmt: skip


def test_peft_s_results_have_intervals_and_unpaired_ties(tmp_path):
    for name, accuracy in {"lora--a": 660, "lora--b": 673, "ia3--c": 396}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(peft_result(accuracy / 1319)))
    failed = peft_result(0, status="failed", error="out of memory")
    (tmp_path / "lora--d.json").write_text(json.dumps(failed))
    result = imported(tmp_path, out=tmp_path / "run")
    assert result.exit_code == 0, result.output
    run = load_run(tmp_path / "run")
    value = next(c for c in run.cells if c.adapter == "lora-a").value("accuracy")
    assert value.n == 1319
    assert value.ci_low < 660 / 1319 < value.ci_high
    table = build_leaderboard(run).tables[0]
    letters = {name.rsplit(", ", 1)[1]: letter for name, letter in table.ties.letters.items()}
    assert letters["lora-a"] == letters["lora-b"] != letters["ia3-c"]
    text = (tmp_path / "run" / "leaderboard.md").read_text()
    assert "out of memory" in text
    assert "- Machine: GPU: L40S." in text
    assert "None" not in text


@pytest.mark.parametrize("device", ["accelerator", "cuda"])
def test_reserved_memory_of_new_and_old_files_is_the_front_s_cost(tmp_path, device):
    for name, right, gib in (("lora--a", 660, 20), ("lora--b", 500, 10), ("ia3--c", 396, 15)):
        record = peft_result(right / 1319)
        train, system = record["train_info"], record["meta_info"]["system_info"]
        del train["accelerator_memory_max"]
        train[f"{device}_memory_max"] = gib * 2**30
        train[f"{device}_memory_reserved_avg"] = gib * 2**29
        system[{"accelerator": "accelerator", "cuda": "gpu"}[device]] = system.pop("accelerator")
        (tmp_path / f"{name}.json").write_text(json.dumps(record))
    assert imported(tmp_path, out=tmp_path / "run").exit_code == 0
    run = load_run(tmp_path / "run")
    assert [c.value("train_reserved_vram_mib").value for c in run.cells] == [15360, 20480, 10240]
    assert run.cells[0].value("train_reserved_mean_vram_mib").value == 7680
    assert {cell.hardware for cell in run.cells} == {"L40S"}
    board = build_leaderboard(run)
    front = {s.row.adapter for s in standings(board.tables[0], board.objectives) if s.on_front}
    assert front == {"lora-a", "lora-b"}
    text = (tmp_path / "run" / "leaderboard.md").read_text()
    assert "train_reserved_vram_mib" in text
    assert "20,480" in text


def test_a_share_of_other_examples_has_no_interval(tmp_path):
    (tmp_path / "lora--a.json").write_text(json.dumps(peft_result(0.5)))
    imported(tmp_path, out=tmp_path / "run")
    value = load_run(tmp_path / "run").cells[0].value("accuracy")
    assert (value.n, value.ci_low) == (None, None)
    assert value.note == "no share of GSM8K's 1319 test examples"


def other_task(**train):
    record = peft_result(0.5, **train)
    record["run_info"]["train_config"] |= {"dataset_id": "x/y", "image_column": "image"}
    return record


IMAGES = [{"step": 750, "test dino_similarity": 0.7, "drift": 0.26, "train loss": 0.7}]
GENERATION = {"run_info": {"experiment_name": "lora/x"}, "generation_info": {}, "meta_info": {}}


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (
            other_task(metrics=IMAGES),
            "another task of PEFT's method comparison (test dino_similarity)",
        ),
        (
            other_task(metrics=[], status="failed", error="oom"),
            "another task of PEFT's method comparison",
        ),
        (GENERATION, "another task of PEFT's method comparison"),
    ],
)
def test_other_tasks_of_the_comparison_are_refused(tmp_path, record, said):
    (tmp_path / "lora--x.json").write_text(json.dumps(record))
    result = imported(tmp_path, out=tmp_path / "run")
    assert result.exit_code == 2
    assert said in result.output
    assert "Only MetaMathQA can be imported" in result.output


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("samples_x_1.jsonl", "{", "samples_x_1.jsonl:1: cannot be read: Expecting property"),
        ("samples_x_1.jsonl", "", "the log holds no samples"),
        ("x.json", '{"run_info": {}, "train_info": {}, "meta_info": {}}', "not a result of PEFT's"),
        ("x.json", "{}", "nothing to import"),
    ],
)
def test_what_cannot_be_read_is_one_clear_error(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    result = imported(tmp_path, out=tmp_path / "run")
    assert result.exit_code == 2
    assert said in result.output


def test_the_same_cell_twice_is_refused(tmp_path):
    for folder in ("a", "b"):
        write_log(tmp_path / folder, "pretrained=m", [1, 0])
    result = imported(tmp_path / "a", tmp_path / "b", out=tmp_path / "run")
    assert result.exit_code == 2
    assert "the same cell as" in result.output


def test_a_base_comes_before_its_adapters_whatever_the_folders_are_called(tmp_path):
    write_log(tmp_path / "a", "pretrained=m,peft=x/lora", [1, 0])
    write_log(tmp_path / "b", "pretrained=m", [1, 0])
    write_log(tmp_path / "c", "pretrained=n", [1, 0])
    imported(tmp_path, out=tmp_path / "run")
    cells = load_run(tmp_path / "run").cells
    assert [(c.model, c.adapter) for c in cells] == [("m", "base"), ("m", "lora"), ("n", "base")]


@pytest.mark.parametrize(("gib", "code"), [(16, 0), (20, 1)])
def test_the_gate_compares_the_memory_of_results_without_examples(tmp_path, gib, code):
    rules = tmp_path / "rules.yaml"
    rules.write_text("rules: [{metric: train_reserved_vram_mib, test: percentage, tolerance: 5}]\n")
    for folder, size in (("first", 16), ("second", gib)):
        record = peft_result(660 / 1319)
        record["train_info"]["accelerator_memory_max"] = size * 2**30
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "lora--a.json").write_text(json.dumps(record))
        imported(tmp_path / folder, out=tmp_path / f"{folder}-run")
    command = ["check", str(tmp_path / "second-run"), "--against", str(tmp_path / "first-run")]
    gate = CliRunner().invoke(main, [*command, "--rules", str(rules)])
    assert gate.exit_code == code, gate.output
    assert CliRunner().invoke(main, command).exit_code == 3  # no example to pair


TABLE = "id,model,prompt,reference,prediction\n1,ours,Q,yes,yes\n2,ours,R,no,yes\n"


def test_a_tool_s_folder_and_a_table_become_one_run(tmp_path):
    write_log(tmp_path / "logs", {"pretrained": "org/Base-1B"}, [1, 0, 1])
    (tmp_path / "mine.csv").write_text(TABLE)
    result = imported(tmp_path / "logs", tmp_path / "mine.csv", out=tmp_path / "run")
    assert result.exit_code == 0, result.output
    found = {(cell.model, cell.dataset) for cell in load_run(tmp_path / "run").cells}
    assert found == {("base-1b", "gsm-tiny"), ("ours", "run")}


def test_a_source_that_holds_nothing_is_named_beside_one_that_does(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "mine.csv").write_text(TABLE)
    result = imported(tmp_path / "mine.csv", tmp_path / "empty", out=tmp_path / "run")
    assert result.exit_code == 2
    assert f"nothing to import in {tmp_path / 'empty'}" in result.output
    assert not (tmp_path / "run").exists()


def test_the_page_of_an_imported_run_says_where_from_and_no_command_that_ran_it(tmp_path):
    write_log(tmp_path / "logs", {"pretrained": "org/Base-1B"}, [1, 0, 1])
    imported(tmp_path / "logs", out=tmp_path / "run")
    text = (tmp_path / "run" / "leaderboard.md").read_text()
    assert "Imported by `harness import` from " in text
    assert "harness run run" not in text
