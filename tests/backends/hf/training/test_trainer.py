"""What training options change and what they leave alone; rows are tokenized once."""

import os
from dataclasses import replace

import pytest
from trl import SFTConfig

from harness.backends.hf.backend import kind_of
from harness.backends.hf.counters.memory import MIB
from harness.backends.hf.training.row_store import rows_key, stored_rows
from harness.backends.hf.training.trainer import arguments_of
from harness.datasets.splits import load_splits
from harness.errors import HarnessError
from harness.plan.expand import expand
from harness.results.paths import read_json
from harness.suite.loading import load_suite

ROWS = 12


class Fixed:
    """One cell with its task, tokenizer and training rows."""

    def __init__(self, path, dataset):
        cells = expand(load_suite(path), path)
        self.cell = next(c for c in cells if not c.is_baseline)
        self.kind = kind_of(self.cell)
        self.tokenizer = self.kind.tokenizer
        self.examples = load_splits(self.cell.dataset, path.parent).train[:ROWS]

    def rows(self):
        return self.kind.training_rows(self.examples)

    def train(self, folder, **options):
        options = {
            "max_steps": 2, "per_device_train_batch_size": ROWS, "max_length": 256, **options
        }  # fmt: skip
        cell = replace(self.cell, training={**self.cell.training, **options})
        kind = kind_of(cell)
        return kind.train(kind.trainable(), kind.training_rows(self.examples), folder)


@pytest.fixture
def text(write_suite):
    return Fixed(write_suite(), "ru-calculations")


@pytest.mark.parametrize("option", ["padding_free", "packing"])
def test_rows_without_padding_have_the_loss_of_padded_ones(text, tmp_path, option):
    padded = text.train(tmp_path / "a")
    dense = text.train(tmp_path / "b", **{option: True})
    assert [r["loss"] for r in dense.log] == pytest.approx(
        [r["loss"] for r in padded.log], rel=1e-3
    )


def test_a_step_of_accumulated_batches_trains_a_head_as_one_batch_does(write_suite, tmp_path):
    path = write_suite(dataset="finance-labels")
    path.write_text(path.read_text().replace("test: 12}", "test: 12, classify_by: head}"))
    head = Fixed(path, "finance-labels")
    logs = [
        head.train(tmp_path / str(parts), per_device_train_batch_size=ROWS // parts,
                   gradient_accumulation_steps=parts).log
        for parts in (1, 3)
    ]  # fmt: skip
    for key in ("loss", "grad_norm"):
        whole, parts = ([record[key] for record in log if key in record] for log in logs)
        assert len(whole) == 2
        assert parts == pytest.approx(whole, rel=1e-3)


def test_rows_of_similar_length_go_together_where_asked(text, tmp_path):
    options = {"per_device_train_batch_size": 3, "max_steps": 4}
    usual = text.train(tmp_path / "a", **options)
    grouped = text.train(tmp_path / "b", train_sampling_strategy="group_by_length", **options)
    assert grouped.steps == usual.steps
    assert [r["loss"] for r in grouped.log] != [r["loss"] for r in usual.log]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, False),
        ({"gradient_checkpointing": True}, True),
        ({"activation_checkpointing": True}, True),
        ({"gradient_checkpointing": True, "activation_checkpointing": False}, False),
    ],
    ids=str,
)
def test_checkpointing_has_the_name_that_every_version_of_transformers_knows(
    text, tmp_path, keys, expected
):
    """Version 5.17 takes no `activation_checkpointing`, which a suite may say all the same."""
    cell = replace(text.cell, training={**text.cell.training, **keys})
    options = arguments_of(cell, None, tmp_path)
    assert "activation_checkpointing" not in options
    assert options["gradient_checkpointing"] is expected
    allowed = {key: options[key] for key in ("output_dir", "use_cpu", "gradient_checkpointing")}
    assert SFTConfig(**allowed, bf16=False).gradient_checkpointing is expected


def test_a_key_that_the_installed_libraries_do_not_know_is_named(text, tmp_path):
    """The schema is of the newest versions; `SFTConfig` would raise a bare TypeError."""
    cell = replace(text.cell, training={**text.cell.training, "of_a_later_version": 1})
    with pytest.raises(HarnessError, match="do not know `of_a_later_version` of `training`"):
        arguments_of(cell, None, tmp_path)


@pytest.mark.parametrize("engine", ["auto", "trl"])
def test_a_loss_that_is_no_number_ends_the_training(text, tmp_path, engine):
    """The trainer by itself logs the mean of the steps before: 0 from the second one on."""
    with pytest.raises(FloatingPointError, match="NaN"):
        text.train(tmp_path, learning_rate=1e30, max_grad_norm=0.0, max_steps=4, engine=engine)


def test_gradients_and_optimizer_are_counted_from_their_tensors(text, tmp_path):
    trained = text.train(tmp_path / "a", optim="adamw_torch")
    gradients = trained.parts["gradients_mib"]
    assert gradients > 0
    assert trained.parts["optimizer_mib"] == pytest.approx(2 * gradients, rel=0.01)
    halved = text.train(tmp_path / "b", optim="adamw_bnb_8bit")
    assert halved.parts["optimizer_mib"] < trained.parts["optimizer_mib"]


@pytest.mark.parametrize("dataset", ["ru-calculations", "finance-labels"])
def test_rows_are_made_once_and_read_back_as_they_were(write_suite, tmp_path, dataset):
    fixed = Fixed(write_suite(dataset=dataset), dataset)
    made = fixed.rows()
    key = rows_key(fixed.cell, fixed.tokenizer, fixed.examples)
    first = stored_rows(tmp_path / "rows", key, fixed.rows)
    again = stored_rows(tmp_path / "rows", key, lambda: pytest.fail("made again"))
    assert list(first.rows) == list(again.rows) == list(made.rows)
    assert first.audit == again.audit == made.audit


def test_rows_are_made_anew_when_anything_they_depend_on_changes(text):
    def key(cell=text.cell, examples=text.examples):
        return rows_key(cell, text.tokenizer, examples)

    cut = replace(text.cell, training={**text.cell.training, "max_length": 8})
    card = replace(text.cell, model=text.cell.model.model_copy(update={"prompt": "plain"}))
    other = replace(text.cell, seed=5, quantization="int8", adapter="other")
    assert key() == key(cell=other)
    assert len({key(), key(cell=cut), key(cell=card), key(examples=text.examples[1:])}) == 4


def test_cells_of_a_run_share_their_rows(write_suite, tmp_path):
    from harness.plan.plan import make_plan
    from harness.results.run import load_run
    from harness.run.runner import run_here

    suite = write_suite()
    suite.write_text(suite.read_text().replace("  dataset:", "  seed: [0, 1]\n  dataset:", 1))
    run_here(make_plan(suite, tmp_path / "out"))
    cells = [cell for cell in load_run(tmp_path / "out").cells if not cell.is_baseline]
    assert [cell.status for cell in cells] == ["ok", "ok"]
    stored = [path for path in (tmp_path / "out" / "rows").iterdir() if path.is_dir()]
    assert len(stored) == 1
    assert read_json(stored[0] / "audit.json")["rows"] == cells[0].audit.counts["rows"]
    trainable = cells[0].value("trainable_params").value
    assert cells[0].value("gradients_mib").value == pytest.approx(4 * trainable / MIB)
    assert cells[0].value("weights_mib").value > 1
    assert cells[0].value("kv_cache_mib").value > 0


@pytest.mark.parametrize(
    ("visible", "kept"),
    [(None, "0"), ("", ""), ("0", "0"), ("1,0", "1"), ("GPU-ab, GPU-cd", "GPU-ab"), ("-1", "-1")],
)
def test_a_worker_keeps_the_first_visible_gpu_alone(monkeypatch, visible, kept):
    from harness.plan.machine import keep_gpus

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    keep_gpus()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == kept


@pytest.mark.parametrize("kind", ["SFTConfig", "TrainingArguments"])
def test_two_visible_gpus_neither_wrap_the_model_nor_double_the_batch(tmp_path, kind):
    import transformers
    import trl

    from harness.backends.hf.training.trainer import on_one_device

    options = {"output_dir": str(tmp_path), "use_cpu": True, "per_device_train_batch_size": 4}
    arguments = getattr(trl, kind, None) or getattr(transformers, kind)
    arguments = arguments(**options)
    assert arguments.n_gpu <= 1  # the device set-up has run
    arguments._n_gpu = 2  # what it finds on a machine with two
    assert arguments.train_batch_size == 8
    assert on_one_device(arguments).train_batch_size == 4
    assert arguments.parallel_mode.value == "not_parallel"
