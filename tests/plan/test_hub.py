"""Models and data from a hub: a local server speaks the hub's API to the real libraries."""

import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from hub_server import TOKEN, Hub, serving

from harness.plan import hub as hub_of_plan

ADAPTER = "{name: lora-r4, config: {r: 4, target_modules: all-linear}}"
SUITE = f"""\
name: hub
matrix:
  model: [{{name: tiny/model, training: {{learning_rate: 5e-3}}}}]
  adapter: [{ADAPTER}]
  dataset:
    - {{name: sums, source: tiny/sums, config: en, train_split: train, test_split: test, train: 24, test: 8,
       columns: {{prompt: question, reference: answer}}}}
training: {{max_steps: 2, max_length: 64, per_device_train_batch_size: 4}}
evaluation: {{latency_prompts: 0, noise_examples: 0}}
generation: {{max_new_tokens: 6}}
"""


def _rows(verb):
    lines = [{"question": f"{verb} {i} and {i + 1}.", "answer": str(2 * i + 1)} for i in range(40)]
    return "\n".join(json.dumps(line) for line in lines)


@pytest.fixture
def hub(tmp_path, root):
    data = tmp_path / "data"
    (data / "en").mkdir(parents=True)
    (data / "ru").mkdir()
    (data / "en" / "train.jsonl").write_text(_rows("Add"))
    (data / "en" / "test.jsonl").write_text(_rows("Sum"))
    (data / "ru" / "train.jsonl").write_text(_rows("Сложи"))
    (data / "README.md").write_text(
        "---\nconfigs:\n- config_name: en\n  data_files:\n"
        "  - {split: train, path: en/train.jsonl}\n  - {split: test, path: en/test.jsonl}\n"
        "- config_name: ru\n  data_files: ru/train.jsonl\n---\n"
    )
    model = root / "models" / "tiny" / "tiny-qwen2"
    with serving(Hub()) as made:
        made.add("tiny/model", model, breaks={"model.safetensors"})
        made.add("tiny/gated", model, gated=True)
        made.add("tiny/sums", data, kind="datasets")
        yield made


@pytest.fixture
def harness(hub, tmp_path):
    """Runs the command with a cache of its own; returns the finished process."""
    (tmp_path / "suite.yaml").write_text(SUITE)

    def run(*words, offline=False, token=None, suite=SUITE, address=hub.address):
        (tmp_path / "suite.yaml").write_text(suite)
        surroundings = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        surroundings |= {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "home")}
        surroundings |= {"HF_HUB_OFFLINE": "1" if offline else "0", "COLUMNS": "200"}
        surroundings |= {"HF_TOKEN": token} if token else {}
        command = [sys.executable, "-m", "harness.cli", *words]
        return subprocess.run(
            command, env=surroundings, cwd=tmp_path, capture_output=True, text=True, timeout=300
        )

    return run


def test_a_bare_id_is_downloaded_resumed_and_kept_for_work_without_the_hub(hub, harness, tmp_path):
    first = harness("run", "suite.yaml", "-o", "online")
    assert first.returncode == 0, first.stderr
    # the server broke the first download of the weights half-way: the rest was asked for by range
    assert hub.downloads("model.safetensors") == 2
    asked = len(hub.log)
    again = harness("run", "suite.yaml", "-o", "offline", offline=True)
    assert again.returncode == 0, again.stderr
    assert len(hub.log) == asked
    scores = [
        {
            cell["adapter"]: [v["value"] for v in cell["values"] if v["metric"] == "rougeL"]
            for path in sorted(Path(tmp_path, name, "cells").glob("*/result.json"))
            if (cell := json.loads(path.read_text()))
        }
        for name in ("online", "offline")
    ]
    assert scores[0] == scores[1]
    assert scores[0].keys() == {"base", "lora-r4"}
    _adapter_on_the_hub(hub, harness, tmp_path)


def _adapter_on_the_hub(hub, harness, tmp_path):
    """The adapter that was trained, shared on the hub, scores as it did; then without the hub."""
    (trained,) = tmp_path.glob("online/cells/*lora-r4*/adapter")
    (trained / "checkpoint.bin").write_bytes(b"never fetched")
    revision = hub.add("tiny/adapter", trained).revision
    suite = SUITE.replace(ADAPTER, f"{{name: shared, source: tiny/adapter, revision: {revision}}}")
    assert harness("run", "suite.yaml", "-o", "shared", suite=suite).returncode == 0
    assert hub.downloads("adapter_model.safetensors") == 1
    assert hub.downloads("checkpoint.bin") == 0
    answers = [
        next(tmp_path.glob(f"{run}/cells/*{name}*/predictions.jsonl")).read_text()
        for run, name in (("online", "lora-r4"), ("shared", "shared"))
    ]
    predictions = [[json.loads(r)["prediction"] for r in text.splitlines()] for text in answers]
    assert predictions[0] == predictions[1]
    (stored,) = tmp_path.glob("shared/cells/*--shared--*/result.json")
    result = json.loads(stored.read_text())
    config = result["provenance"]["cell"]["adapter_config"]
    assert (config["hub"], config["revision"]) == ("tiny/adapter", revision)
    assert "the adapter was trained elsewhere" in result["audit"]["warnings"][0]
    later = harness("plan", "suite.yaml", "-o", "shared", offline=True, suite=suite)
    assert "2 current" in later.stdout, later.stdout + later.stderr
    adapters = (
        f"{{name: a, source: tiny/adapter, revision: {'f' * 40}}}, {{name: b, source: tiny/b}}"
    )
    wrong = harness("validate", "suite.yaml", suite=SUITE.replace(ADAPTER, adapters))
    assert wrong.returncode == 2
    assert 'adapter "tiny/adapter" has no revision' in wrong.stderr
    assert 'the hub has no adapter "tiny/b"' in wrong.stderr


def test_an_adapter_needs_no_training_rows_and_its_commit_is_recorded(hub, harness, tmp_path, root):
    folder = tmp_path / "adapter"
    _save_adapter(root / "models" / "tiny" / "tiny-qwen2", folder, base="tiny/model")
    revision = hub.add("tiny/adapter", folder).revision
    shared = "{name: shared, source: tiny/adapter}"
    suite = SUITE.replace(ADAPTER, shared).replace("train: 24", "train: 0")
    checked = harness("validate", "suite.yaml", suite=suite)
    assert f"pin it by `revision: {revision}`" in checked.stdout, checked.stderr
    assert "0 training rows, 8 test rows" in checked.stdout
    assert harness("run", "suite.yaml", "-o", "run", suite=suite).returncode == 0
    (stored,) = tmp_path.glob("run/cells/*--shared--*/result.json")
    result = json.loads(stored.read_text())
    assert result["provenance"]["cell"]["adapter_config"]["revision"] == revision
    assert "overlap_exact" not in result["data"]  # of no rows nobody knows
    assert "trained elsewhere" in (tmp_path / "run" / "leaderboard.md").read_text()
    pinned = suite.replace("adapter}", f"adapter, revision: {revision}}}")
    assert "2 current" in harness("plan", "suite.yaml", "-o", "run", suite=pinned).stdout


def _save_adapter(model, folder, *, base):
    """An adapter in PEFT's format whose config names ``base``; its weights change something."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers.models.auto.modeling_auto import AutoModelForCausalLM

    adapted = get_peft_model(
        AutoModelForCausalLM.from_pretrained(model),
        LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM"),
    )
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.fill_(0.05)
    adapted.peft_config["default"].base_model_name_or_path = base
    adapted.save_pretrained(folder)


def test_a_gated_model_is_skipped_with_what_to_do_and_runs_with_a_token(harness):
    gated = SUITE.replace("tiny/model", "tiny/gated")
    plan = harness("plan", "suite.yaml", suite=gated)
    assert plan.returncode == 0, plan.stderr
    assert "accept its licence" in plan.stdout
    assert "HF_TOKEN" in plan.stdout
    assert "2 skip" in plan.stdout
    with_token = harness("plan", "suite.yaml", suite=gated, token=TOKEN)
    assert "0 skip" in with_token.stdout, with_token.stdout + with_token.stderr
    assert TOKEN not in with_token.stdout + with_token.stderr


def test_an_id_that_the_hub_does_not_have_is_one_clear_error(harness):
    wrong = harness("plan", "suite.yaml", suite=SUITE.replace("tiny/model", "tiny/nowhere"))
    assert wrong.returncode == 2
    assert 'the hub has no model "tiny/nowhere"' in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_without_hub_and_cache_the_cells_are_skipped(harness):
    plan = harness("plan", "suite.yaml", offline=True)
    assert plan.returncode == 0, plan.stderr
    assert "the hub is switched off" in plan.stdout


def test_where_the_hub_does_not_answer_nothing_is_asked_twice(harness):
    """The libraries would ask six times for each file, which takes half a minute."""
    with socket.socket() as closed:  # bound and not listening: a connection is refused
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        checked = harness("validate", "suite.yaml", address=address)
        assert checked.returncode == 0, checked.stderr
        assert "data set tiny/sums is not in the local cache and the hub cannot" in checked.stdout
        plan = harness("plan", "suite.yaml", address=address)
        assert "2 skip" in plan.stdout
        assert "the hub cannot be reached" in plan.stdout
        assert "Retrying" not in checked.stderr + plan.stderr
        shared = SUITE.replace(ADAPTER, "{name: shared, source: tiny/adapter}")
        refused = harness("validate", "suite.yaml", address=address, suite=shared)
        assert refused.returncode == 2
        assert "tiny/adapter is not in the local cache and the hub cannot be" in refused.stderr


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nX: "], ids=["silent", "trickles"])
def test_a_hub_that_never_ends_its_answer_is_not_waited_for(monkeypatch, answer):
    """A socket's time-out begins anew with each byte, so a trickle would hold a command for ever."""
    asked, over = threading.Event(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            asked.set()
            with connection, suppress(OSError):
                connection.sendall(answer)
                while not over.wait(0.05):
                    connection.sendall(answer and b"x")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setattr(hub_of_plan, "PATIENCE", 0.5)
        hub_of_plan._answers.cache_clear()
        try:
            assert not hub_of_plan.is_reachable()
            assert asked.is_set()
        finally:
            over.set()
            thread.join()
            hub_of_plan._answers.cache_clear()
