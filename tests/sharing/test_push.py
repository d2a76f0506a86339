"""`harness push` against a hub on the loopback, by the real huggingface_hub."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict

import pytest
import yaml
from hub_server import TOKEN, Hub, serving
from huggingface_hub import ModelCard

from harness.api.sharing import push
from harness.errors import HarnessError
from harness.results.companions import companions_of
from harness.results.paths import CellPaths

LORA, WHOLE = "tiny-qwen2--none--lora-r4", "tiny-qwen2--none--whole"


@pytest.fixture
def hub(tmp_path):
    with serving(Hub(tmp_path / "uploads")) as made:
        yield made


@pytest.fixture
def command(hub, run, tmp_path):
    """Runs `harness push RUN …`; returns the finished process."""

    def call(*words, token=TOKEN, answer="", address=hub.address):
        surroundings = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        surroundings |= {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "home")}
        surroundings |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
        surroundings |= {"HF_TOKEN": token} if token else {}
        words = [sys.executable, "-m", "harness.cli", "push", str(run), *words]
        return subprocess.run(
            words, env=surroundings, cwd=tmp_path, input=answer, capture_output=True, text=True,
            timeout=300,
        )  # fmt: skip

    return call


def front(text):
    return yaml.safe_load(text.split("---")[1])


def test_an_adapter_goes_up_private_with_card_and_suite_and_is_replaced_when_asked(hub, command):
    made = command(LORA, "me/lora")
    assert made.returncode == 0, made.stderr
    repository = hub.repositories["me/lora"]
    assert repository.private
    assert f"{hub.address}/me/lora/commit/{repository.revision}" in made.stdout
    names = set(repository.files())
    assert {"README.md", "adapter_model.safetensors", "suite.yaml", "tokenizer.json"} <= names
    whole = " ".join([made.stdout, made.stderr, *map(repr, repository.files().values())])
    assert TOKEN not in whole

    (repository.folder / "LICENSE").write_text("mine")
    (repository.folder / "model.safetensors").write_text("of another upload")
    refused = command(LORA, "me/lora", answer="n\n")
    assert refused.returncode == 2
    assert "me/lora exists and is private" in refused.stderr
    assert "model.safetensors" in repository.files()
    again = command(LORA, "me/lora", "--public", answer="y\n")
    assert again.returncode == 0, again.stderr
    assert repository.private  # an answer about content is none about visibility
    assert "LICENSE" in repository.files()
    assert "model.safetensors" not in repository.files()


def test_a_public_repository_is_asked_for(hub, command):
    made = command(WHOLE, "me/whole", "--public", "--yes")
    assert made.returncode == 0, made.stderr
    repository = hub.repositories["me/whole"]
    assert not repository.private
    assert {"model.safetensors", "config.json"} <= set(repository.files())
    assert front((repository.folder / "README.md").read_text())["library_name"] == "transformers"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"token": "hf_wrongwrongwrong"}, "the hub gives no right to write to me/x\n  Log in"),
        ({"address": "http://127.0.0.1:9"}, "the hub cannot be reached"),
    ],
    ids=["wrong token", "nobody there"],
)
def test_a_hub_that_takes_nothing_is_one_clear_error(command, options, message):
    failed = command(LORA, "me/x", **options)
    assert failed.returncode == 2
    assert message in failed.stderr
    assert "Traceback" not in failed.stderr
    assert "hf_wrong" not in failed.stderr


def test_a_hub_that_is_switched_off_is_not_asked(run, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(HarnessError, match="the hub is switched off by HF_HUB_OFFLINE"):
        push(run, LORA, "me/x")


def test_a_dry_run_writes_the_folder_and_asks_no_hub(hub, run, tmp_path):
    folder = tmp_path / "draft"
    done = push(run, LORA, "me/lora", dry_run=folder)
    assert hub.log == []
    assert set(done.files) == {path.name for path in folder.iterdir()}
    card = (folder / "README.md").read_text()
    (result,) = ModelCard(card).data.eval_results[:1]
    stored = json.loads(next(run.glob(f"cells/{LORA}*/result.json")).read_text())
    (value,) = [v for v in stored["values"] if v["metric"] == result.metric_type][:1]
    assert result.metric_type == stored["primary_metric"]
    assert result.metric_value == pytest.approx(value["value"], rel=1e-5)
    for part in (
        "against its base", "95% interval", "this one", "harness run suite.yaml --select 'model=",
        "## Read this before", "its base tiny-qwen2 is a folder", "PeftModel.from_pretrained",
    ):  # fmt: skip
        assert part in card, part
    # nothing of this machine: neither in the card, nor in the suite, nor in the adapter's config
    text = "".join(p.read_text() for p in folder.iterdir() if p.suffix in (".md", ".yaml", ".json"))
    assert str(run.parent) not in text
    assert json.loads((folder / "adapter_config.json").read_text())[
        "base_model_name_or_path"
    ] == "tiny-qwen2"  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "name", "message"),
    [
        ("tiny-qwen2--none--base", "me/x", "is a baseline: nothing was trained"),
        ("tiny-qwen2--none", "me/x", "matches 3 cells"),
        ("other", "me/x", 'no cell "other"'),
        (LORA, "x", '"x" cannot be a repository'),
        (LORA, "me/a b", '"me/a b" cannot be a repository'),
    ],
)
def test_what_cannot_be_pushed_is_refused(run, tmp_path, cell, name, message):
    with pytest.raises(HarnessError, match=message):
        push(run, cell, name, dry_run=tmp_path / "draft")
    assert not (tmp_path / "draft").exists()


def test_a_folder_with_files_and_an_adapter_that_is_gone_are_refused(run, tmp_path):
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(HarnessError, match="the folder is not empty"):
        push(run, LORA, "me/x", dry_run=tmp_path)
    from harness.api.runs import pack

    packed = pack(run, tmp_path / "run.tar.xz")
    with pytest.raises(HarnessError, match="the adapter is not there"):
        push(packed, LORA, "me/x", dry_run=tmp_path / "draft")


def test_files_that_nobody_knows_stay_here(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run")
    (adapter,) = copy.glob(f"cells/{LORA}*/adapter")
    (adapter / "optimizer.bin").write_bytes(b"gigabytes")
    cell = CellPaths(adapter.parent)  # as if training had left it there
    record = json.loads(cell.result.read_text())
    record["companions"]["adapter"] = asdict(companions_of(cell)["adapter"])
    cell.result.write_text(json.dumps(record))
    done = push(copy, LORA, "me/x", dry_run=tmp_path / "draft")
    assert "not shared: optimizer.bin" in done.notes
    assert not (tmp_path / "draft" / "optimizer.bin").exists()
