"""A step with the model's small operations fused gives what the step without gives."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForSequenceClassification, LlamaConfig, set_seed
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from harness.backends.hf.training.check import disagreement, fused_disagreement
from harness.backends.hf.training.eager import EagerSteps
from harness.backends.hf.training.engine import in_float32
from harness.backends.hf.training.flat_attention import flat_attention, reading
from harness.backends.hf.training.flat_batch import flat_batch, rows_of
from harness.backends.hf.training.fused import _rotation, fused
from harness.backends.hf.training.fused_lora import _Lora
from harness.backends.hf.training.head import body_of, head_rows, learn_labels
from harness.backends.hf.training.unpacked import four_bit_layers, unpacked

CONFIG = LlamaConfig(
    vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
    num_attention_heads=2, num_key_value_heads=1, attention_bias=True,
)  # fmt: skip
LORA = {"r": 4, "lora_alpha": 12, "target_modules": "all-linear", "init_lora_weights": False}


def adapted(*, dtype=torch.float32, **lora):
    set_seed(0)
    model = AutoModelForCausalLM.from_config(CONFIG, dtype=dtype)
    model = get_peft_model(model, LoraConfig(**{**LORA, **lora})).train()
    in_float32(model)
    return model


def in_four_bits():
    bnb = pytest.importorskip("bitsandbytes")
    set_seed(0)
    model = AutoModelForCausalLM.from_config(CONFIG, dtype=torch.float32).requires_grad_(False)
    for parent in [m for m in model.modules() if "Attention" in type(m).__name__]:
        for name, child in list(parent.named_children()):
            layer = bnb.nn.Linear4bit(32, child.out_features, bias=True, quant_type="nf4")
            layer.weight = bnb.nn.Params4bit(child.weight.data, quant_type="nf4")
            layer.bias = child.bias
            setattr(parent, name, layer.to("cpu"))
    lora = LoraConfig(**{**LORA, "target_modules": ["q_proj", "v_proj"]})
    model = get_peft_model(model, lora).train()
    in_float32(model)
    return model


def raw(lengths):
    draw = torch.Generator().manual_seed(1)
    made = [torch.randint(3, 60, (n,), generator=draw).tolist() for n in lengths]
    return [{"input_ids": ids, "labels": [-100] * (n := len(ids) // 2) + ids[n:]} for ids in made]


def step(model, *, half=False, wanted=True, passes=1, checkpointed=False):
    """Numbers, gradients and how many layers were replaced."""
    trained = [p for p in model.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.grad = None
    if checkpointed:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    with flat_attention(model), fused(model, half=half, wanted=wanted) as replaced:
        steps = EagerSteps(model, trained, torch.optim.AdamW(trained), half, 1.0, replaced)
        for _ in range(passes):
            numbers = steps.learn(rows_of(raw([7, 12, 5])), 13)
    assert not any("forward" in vars(m) for m in model.modules())
    gradients = [p.grad for p in trained]
    return numbers, torch.cat([g.flatten() for g in gradients]), replaced.counts["adapters"]


@pytest.mark.parametrize("options", [{}, {"passes": 2}, {"checkpointed": True}], ids=str)
def test_adapters_give_the_same_loss_and_gradients(options):
    model = adapted()
    wanted, right, none = step(model, wanted=False, **options)
    found, gradients, count = step(model, **options)
    assert (none, count) == (0, 14)
    assert found.tolist() == pytest.approx(wanted.tolist(), abs=1e-5)
    torch.testing.assert_close(gradients, right, rtol=1e-4, atol=1e-6)


def test_in_16_bits_they_round_no_worse_than_the_model_itself():
    model = adapted(dtype=torch.bfloat16)
    _, found, count = step(model, half=True)
    _, plain, _ = step(model, half=True, wanted=False)
    _, right, _ = step(model.float(), wanted=False)
    assert count == 14
    assert found.dtype is torch.float32
    away, usual = (float((g - right).norm() / right.norm()) for g in (found, plain))
    assert away < 1.2 * usual < 0.15, (away, usual)


@pytest.mark.parametrize("once", [False, True], ids=["each pass", "unpacked once"])
def test_they_do_over_4_bit_weights(once):
    model = in_four_bits()
    with unpacked(model, wanted=once):
        wanted, right, _ = step_of_packed(model, wanted=False)
        found, gradients, count = step_of_packed(model, wanted=True)
    assert count == 4
    assert found.tolist() == pytest.approx(wanted.tolist(), abs=1e-5)
    torch.testing.assert_close(gradients, right, rtol=1e-4, atol=1e-6)


def step_of_packed(model, wanted):
    trained = [p for p in model.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.grad = None
    with flat_attention(model), fused(model, half=False, wanted=wanted) as replaced:
        steps = EagerSteps(model, trained, torch.optim.AdamW(trained), False, 1.0, replaced)
        numbers = steps.learn(rows_of(raw([7, 12, 5])), 13)
    return numbers, torch.cat([p.grad.flatten() for p in trained]), replaced.counts["adapters"]


def test_dropout_is_before_the_adapter_alone():
    model = adapted(lora_dropout=0.5)
    losses = []
    for wanted in (False, True):
        set_seed(3)
        numbers, gradients, _ = step(model, wanted=wanted)
        losses.append((numbers.tolist(), gradients))
    assert losses[0][0] == pytest.approx(losses[1][0], abs=1e-5)
    torch.testing.assert_close(losses[0][1], losses[1][1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("lora", "count"), [({"use_dora": True}, 0), ({"lora_bias": True}, 0), ({"bias": "all"}, 6)]
)
def test_layers_that_are_more_than_plain_lora_are_left_alone(lora, count):
    _, _, replaced = step(adapted(**lora))
    assert replaced == count


def test_the_check_compares_a_new_adapter_though_half_of_it_is_zero():
    model = adapted(init_lora_weights=True)
    arguments = type("Arguments", (), {"bf16": False, "tf32": False})
    before = {name: p.clone() for name, p in model.named_parameters()}
    for check in (disagreement, fused_disagreement):
        assert check(model, raw([7, 12, 5]), arguments) is None
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


def faulty(monkeypatch, times, *, of, only=None):
    """Let the fused pass back give gradients ``times`` as large: ``of`` A or B, or under dropout.

    ``only``: of layers with so many outputs.
    """
    right = _Lora.backward

    def backward(ctx, *gradients):
        found = right(ctx, *gradients)
        if only is None or ctx.of_ups[0].shape[0] == only:
            if of == "A" or (of == "dropout" and ctx.apart):
                ctx.of_down.mul_(times)
            if of == "B":
                for each in ctx.of_ups:
                    each.mul_(times)
        return found

    monkeypatch.setattr(_Lora, "backward", staticmethod(backward))


@pytest.mark.parametrize(("half", "times"), [(False, 0.5), (True, 0.5), (True, 2.0)])
@pytest.mark.parametrize(("of", "only"), [("A", None), ("A", 48), ("B", 48), ("dropout", None)])
def test_the_check_finds_a_factor_of_two(monkeypatch, half, times, of, only):
    dtype = torch.bfloat16 if half else torch.float32
    drops = {"lora_dropout": 0.1} if of == "dropout" else {}
    model = adapted(dtype=dtype, init_lora_weights=True, **drops)
    arguments = type("Arguments", (), {"bf16": half, "tf32": False})
    rows = raw([7, 12, 5])
    assert fused_disagreement(model, rows, arguments) is None
    faulty(monkeypatch, times, of=of, only=only)
    assert fused_disagreement(model, rows, arguments) is not None


@pytest.mark.parametrize("rate", [0.05, 0.5])
@pytest.mark.parametrize("rows", [[2, 3], [7, 12, 5]], ids=str)
def test_the_check_lets_right_gradients_under_dropout_pass(rate, rows):
    model = adapted(dtype=torch.bfloat16, init_lora_weights=True, lora_dropout=rate)
    arguments = type("Arguments", (), {"bf16": True, "tf32": False})
    before = torch.get_rng_state()
    assert fused_disagreement(model, raw(rows), arguments) is None
    assert torch.equal(torch.get_rng_state(), before)


def test_a_check_that_runs_out_of_memory_means_unfused():
    model = adapted(init_lora_weights=True)
    arguments = type("Arguments", (), {"bf16": False, "tf32": False})

    def full(*_):
        raise torch.OutOfMemoryError("out of memory")

    model.get_base_model().lm_head.register_forward_hook(full)
    assert "ran out of device memory" in fused_disagreement(model, raw([7, 5]), arguments)
    zeros = [p for name, p in model.named_parameters() if "lora_B" in name]
    assert not any(p.any() for p in zeros)


@pytest.mark.parametrize(
    ("rows", "size", "more"), [(1, 8, ()), (2, 8, ()), (1, 4, ()), (1, 8, (1,))], ids=str
)
def test_a_rotary_embedding_that_no_kernel_knows_is_the_models_own(rows, size, more):
    """On a CPU that is each; two rows, a part of the size or another layout are so anywhere."""
    q, k = torch.ones(rows, 2, 5, 8), torch.ones(rows, 1, 5, 8)
    cos, sin = torch.ones(1, 5, size), torch.zeros(1, 5, size)
    given = (q, k, cos, sin, *more)
    assert _rotation(lambda *got: got)(*given) == given


def test_a_forward_pass_of_a_layers_own_is_put_back():
    model = in_four_bits()
    layers = four_bit_layers(model)
    own = layers[0].forward = type(layers[0]).forward.__get__(layers[0])
    with unpacked(model, wanted=True):
        assert layers[0].forward is not own
    assert layers[0].forward is own
    assert not any("forward" in vars(layer) for layer in layers[1:])


def test_a_forward_pass_of_the_body_s_own_is_put_back():
    config = LlamaConfig(**{**CONFIG.to_dict(), "num_labels": 3, "pad_token_id": 0})
    model = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
    body = body_of(model)
    own = body.forward = type(body).forward.__get__(body)
    rows = [{"input_ids": [5, 6, 7], "labels": 1}, {"input_ids": [8, 9], "labels": 0}]
    batch = flat_batch(head_rows(rows, model), model.device)
    with flat_attention(model), reading(batch.segments):
        learn_labels(model, batch, share=1.0, half=False)
    assert body.forward is own
