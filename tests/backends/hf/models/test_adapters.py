"""An adapter made for something else is refused with names, or the row says so."""

import json
import shutil
from dataclasses import replace

import pytest
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import set_seed
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from harness.backends.hf.models.adapters import (
    RECORD,
    add_peft,
    attach_adapter,
    check_source,
    write_record,
)
from harness.backends.hf.models.loading import load_tokenizer
from harness.errors import HarnessError
from harness.plan.expand import expand
from harness.suite.loading import load_suite

LABELS = ("bad", "fair", "good")


@pytest.fixture(scope="module")
def base(root):
    return root / "models" / "tiny" / "tiny-llama"


def fresh(base):
    return AutoModelForCausalLM.from_pretrained(base)


@pytest.fixture(scope="module")
def saved(base, tmp_path_factory):
    """A LoRA adapter in PEFT's format."""
    folder = tmp_path_factory.mktemp("saved") / "adapter"
    set_seed(0)
    config = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    get_peft_model(fresh(base), config).save_pretrained(folder)
    return folder


@pytest.fixture
def adapter(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "adapter")


@pytest.fixture
def cell(write_suite, base):
    path = write_suite(quantization="none")
    made = expand(load_suite(path), path)[0]
    card = made.model.model_copy(
        update={"name": "tiny-llama", "source": str(base), "prompt": "plain"}
    )
    return replace(made, model=card, adapter="mine", adapter_config={"source": "x"})


def headed(cell, labels):
    return replace(cell, task=replace(cell.task, labels=labels, answered_by="head"))


def edited(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_an_adapter_with_all_its_weights_is_attached(base, adapter):
    assert attach_adapter(fresh(base), adapter).active_adapter == "default"


def test_an_adapter_with_missing_layers_is_refused_by_name(base, adapter):
    path = adapter / "adapter_model.safetensors"
    weights = {k: v for k, v in load_file(path).items() if "layers.1." not in k}
    save_file(weights, path)
    with pytest.raises(HarnessError, match=r"lacks .*layers\.1\.self_attn\.q_proj"):
        attach_adapter(fresh(base), adapter)


def test_an_adapter_of_another_shape_is_refused(base, adapter):
    edited(adapter / "adapter_config.json", r=4)
    with pytest.raises(HarnessError, match="does not fit"):
        attach_adapter(fresh(base), adapter)


@pytest.mark.parametrize(
    ("targets", "lost"), [(["q_proj", "wq"], "wq"), (["q_proj", "w1", "w2"], "w1, w2")]
)
def test_target_modules_found_in_part_are_refused_by_name(base, targets, lost):
    with pytest.raises(ValueError, match=f"not in the model: {lost}"):
        add_peft(fresh(base), {"target_modules": targets}, classification=False)


def recorded(adapter, cell):
    write_record(adapter, cell, load_tokenizer(cell.model))


def checked(adapter, cell):
    return check_source(adapter, cell, load_tokenizer(cell.model))


def test_what_was_recorded_agrees_with_itself(adapter, cell):
    recorded(adapter, headed(cell, LABELS))
    assert checked(adapter, headed(cell, LABELS)) == []


def test_labels_in_another_order_are_refused(adapter, cell):
    recorded(adapter, headed(cell, LABELS))
    with pytest.raises(HarnessError, match=r'labels \["bad", "fair", "good"\]; the suite has'):
        checked(adapter, headed(cell, LABELS[::-1]))


def test_an_order_that_nobody_recorded_is_told(adapter, cell):
    (told,) = checked(adapter, headed(cell, LABELS))
    assert "does not record the order of its labels" in told


def test_another_prompt_style_is_refused(adapter, cell):
    recorded(adapter, cell)
    other = replace(cell, model=cell.model.model_copy(update={"prompt": "alpaca"}))
    with pytest.raises(HarnessError, match="trained with prompt"):
        checked(adapter, other)


def test_another_base_is_refused_and_a_renamed_folder_is_told(adapter, cell):
    hub = replace(cell, model=cell.model.model_copy(update={"name": "b", "source": "owner/b"}))
    edited(adapter / "adapter_config.json", base_model_name_or_path="owner/a")
    tokenizer = load_tokenizer(cell.model)
    with pytest.raises(HarnessError, match="trained on owner/a, not on owner/b"):
        check_source(adapter, hub, tokenizer)
    (told,) = check_source(adapter, cell, tokenizer)
    assert told.startswith("the adapter names owner/a as its base")


def test_a_chat_template_of_its_own_is_refused(adapter, cell):
    chat = replace(cell, model=cell.model.model_copy(update={"prompt": "chat"}))
    tokenizer = load_tokenizer(cell.model)
    tokenizer.chat_template = "{{ messages }}"
    (adapter / "chat_template.jinja").write_text("{{ messages }}")
    assert check_source(adapter, chat, tokenizer) == []
    (adapter / "chat_template.jinja").write_text("<user>{{ messages }}")
    with pytest.raises(HarnessError, match="has its own chat template"):
        check_source(adapter, chat, tokenizer)


def test_an_adapter_trained_on_other_weights_is_told(adapter, cell):
    recorded(adapter, replace(cell, quantization="nf4"))
    assert json.loads((adapter / RECORD).read_text())["quantization"] == "nf4"
    assert checked(adapter, cell) == ["the adapter was trained on nf4 weights"]
