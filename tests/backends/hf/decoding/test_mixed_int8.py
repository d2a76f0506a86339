"""LLM.int8 in fixed shapes gives what bitsandbytes gives, wherever the outliers are."""

import pytest
import torch
from bitsandbytes.nn import Int8Params, Linear8bitLt
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, set_seed

from harness.backends.hf.decoding.engine import Engine
from harness.backends.hf.decoding.fusing import Fusing
from harness.backends.hf.decoding.mixed_int8 import mixed_int8, mixed_layers, uncapturable
from harness.backends.hf.models.loading import load_tokenizer
from harness.suite.model_card import load_model_card

INPUTS, OUTPUTS = 64, 48
OUTLIERS = {
    "none": [], "one": [(0, 5, 9.5)], "in two rows of a column": [(0, 5, 9.5), (2, 5, -8.0)],
    "in several columns": [(0, 0, 7.0), (1, 30, -20.0), (2, 63, 6.0)],
    "all of a row": [(1, k, 7.0) for k in range(INPUTS)],
    "beyond float16": [(1, 7, 1e5)],
}  # fmt: skip
"""Row, column and value of each."""


def layer(bias, dtype, threshold=6.0, fp16=False):
    set_seed(0)
    made = Linear8bitLt(INPUTS, OUTPUTS, bias=bias, has_fp16_weights=fp16, threshold=threshold)
    weight = torch.randn(OUTPUTS, INPUTS).half() / 8
    made.weight = Int8Params(weight, requires_grad=False, has_fp16_weights=fp16).to("cpu")
    if bias:
        made.bias = torch.nn.Parameter(torch.randn(OUTPUTS).to(dtype), requires_grad=False)
    return made.eval()


def inputs(rows, outliers, dtype):
    generator = torch.Generator().manual_seed(rows)
    x = torch.randn(rows, 1, INPUTS, generator=generator).clamp(-4, 4)
    for row, column, value in outliers:
        x[row % rows, 0, column] = value
    return x.to(dtype)


@pytest.mark.parametrize("outliers", OUTLIERS)
@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("bias", [False, True], ids=["no bias", "bias"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_a_layer_gives_what_that_of_bitsandbytes_gives(dtype, bias, rows, outliers):
    own, x = layer(bias, dtype), inputs(rows, OUTLIERS[outliers], dtype)
    with torch.inference_mode():
        wanted = own(x.clone())
        found = mixed_int8(torch.nn.ModuleDict({"one": own}), kernels=False)[own](x)
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    if rows == 1 and outliers == "all of a row":
        return  # bitsandbytes divides by the row's maximum, 0 where nothing is left
    # the 16-bit sum has zeros between, so it may be taken in another order
    near = {torch.float32: 1e-5, torch.bfloat16: 8e-3}[dtype]
    torch.testing.assert_close(found, wanted, rtol=near, atol=near)


def test_a_layer_can_be_asked_before_its_first_pass():
    own, other = layer(True, torch.float32), layer(True, torch.float32)
    x = inputs(3, OUTLIERS["one"], torch.float32)
    with torch.inference_mode():
        found = mixed_int8(torch.nn.ModuleDict({"one": own}), kernels=False)[own](x)
        torch.testing.assert_close(found, other(x.clone()))


def test_layers_without_a_threshold_run_as_they_are_and_16_bit_ones_are_refused():
    plain, wide = layer(False, torch.float32, threshold=0.0), layer(False, torch.float32, fp16=True)
    assert mixed_int8(torch.nn.ModuleDict({"a": plain}), kernels=False) == {}
    assert uncapturable(torch.nn.ModuleDict({"a": plain})) is None
    assert "16 bits" in uncapturable(torch.nn.ModuleDict({"a": wide}))


@pytest.fixture(scope="module")
def adapted(root):
    folder = load_model_card(root / "models" / "tiny-llama.yaml").source
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, quantization_config=BitsAndBytesConfig(load_in_8bit=True)
    )
    for one in mixed_layers(model):
        one.state.threshold = 2.0  # a tiny model has no value beyond 6
    set_seed(1)
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    return get_peft_model(model, config).eval()


def test_steps_in_fixed_shapes_give_the_tokens_of_those_of_bitsandbytes(adapted, root):
    tokenizer = load_tokenizer(load_model_card(root / "models" / "tiny-llama.yaml"))
    rows = [tokenizer(text).input_ids for text in ("What is a bond?", "150 / 600 =", "Hello")]
    engines = [Engine(adapted, pad=0, ends=[tokenizer.eos_token_id], capture=False) for _ in "ab"]
    forwards = mixed_int8(adapted, kernels=False)
    assert len(forwards) == len(list(mixed_layers(adapted))) == 28
    engines[1].use("int8", forwards)
    plain, fixed = (engine.decode(rows, 24) for engine in engines)
    assert fixed == plain
    assert engines[1].describe()["fused"] == {"int8": 28}
    assert not any("forward" in vars(module) for module in adapted.modules())


def test_layers_that_read_one_tensor_look_for_its_outliers_once(adapted, monkeypatch):
    from harness.backends.hf.decoding import mixed_int8 as module

    seen = []
    split = module.split_outliers
    monkeypatch.setattr(module, "split_outliers", lambda x, t: seen.append(1) or split(x, t))
    ids = torch.tensor([[5, 6, 7]])
    fusing = Fusing()
    fusing.take("int8", mixed_int8(adapted, kernels=False))
    with torch.inference_mode(), fusing.on():
        adapted(input_ids=ids)
    assert len(seen) == 4 * 4  # layers; q k v, o, gate up, down
