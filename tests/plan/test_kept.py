"""The training part of the memory estimate against real models: what autograd holds is counted.

On the CPU, in two depths, so that the difference is what one layer adds. Two calls are made to do
here what they do on CUDA: dropout keeps a mask of one byte, and PEFT sees that autocast is on.
"""

import weakref
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    set_seed,
)

from harness.backends.hf.training.engine import in_float32
from harness.backends.hf.training.flat_attention import flat_attention, reading
from harness.backends.hf.training.flat_batch import flat_batch, learn, rows_of
from harness.backends.hf.training.fused import fused
from harness.plan.activations import activations
from harness.plan.architecture import shape_of
from harness.plan.expand import expand
from harness.plan.kept import layer_as_it_is, layer_of_engine
from harness.suite.loading import load_suite

ROWS, LENGTH = 2, 128
SIZES = {
    "hidden_size": 64, "intermediate_size": 160, "num_attention_heads": 4, "num_key_value_heads": 2,
    "vocab_size": 64, "head_dim": 16, "max_position_embeddings": 160,
}  # fmt: skip
ENCODER = {k: v for k, v in SIZES.items() if k not in ("num_key_value_heads", "head_dim")}
ENCODER |= {"attention_probs_dropout_prob": 0.0}  # on a CPU no kernel drops attention weights
QUERY_VALUE = ["q_proj", "v_proj"]
DORA, DROPS = {"use_dora": True}, {"lora_dropout": 0.1}
LAYERS = [
    # family, dtype, 4 bits, LoRA (None: full)
    ("llama", "bfloat16", False, {}),
    ("llama", "bfloat16", False, {"target_modules": QUERY_VALUE}),
    ("llama", "bfloat16", False, DROPS),
    ("llama", "bfloat16", False, DROPS | {"target_modules": QUERY_VALUE}),
    ("llama", "bfloat16", False, {"use_rslora": True, "r": 32}),
    ("llama", "bfloat16", False, DORA),
    ("llama", "bfloat16", False, DORA | DROPS),
    ("llama", "bfloat16", False, DORA | {"target_modules": QUERY_VALUE}),
    ("llama", "bfloat16", False, None),
    ("llama", "bfloat16", True, {}),
    ("llama", "bfloat16", True, DROPS),
    ("llama", "bfloat16", True, DORA),
    ("llama", "bfloat16", True, DORA | DROPS),
    ("llama", "float32", False, {}),
    ("llama", "float32", False, DROPS),
    ("llama", "float32", False, DORA),
    ("llama", "float32", False, DORA | DROPS),
    ("llama", "float32", False, None),
    ("llama", "float32 as bfloat16", False, {}),
    ("llama", "float32 as bfloat16", False, DROPS),
    ("llama", "float32 as bfloat16", False, None),
    ("qwen2", "bfloat16", True, DORA | {"target_modules": QUERY_VALUE}),
    ("qwen2", "bfloat16", False, DORA),
    ("qwen3", "bfloat16", False, {}),
    ("qwen3", "bfloat16", False, None),
    ("gemma3_text", "bfloat16", False, {}),
    ("gemma3_text", "bfloat16", False, None),
    ("phi3", "bfloat16", False, DROPS),
    ("phi3", "bfloat16", False, DORA),
    ("bert", "float32", False, {}),
    ("bert", "float32", False, DROPS),
    ("bert", "float32", False, None),
    ("roberta", "float32", False, DORA),
]


@pytest.fixture
def as_on_cuda(monkeypatch):
    def dropout(x, p=0.5, training=True, inplace=False):
        return torch.native_dropout(x, p, training)[0] if p else x

    asked = torch.is_autocast_enabled
    monkeypatch.setattr(torch.nn.functional, "dropout", dropout)
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda *kind: asked(*(kind or ("cpu",))))


@pytest.fixture(scope="module")
def cell(root):
    path = root / "suites" / "published" / "geometry.yaml"
    return next(c for c in expand(load_suite(path), path) if not c.is_baseline)


def architecture(family, layers, **sizes):
    known = ENCODER if family in ("bert", "roberta") else SIZES
    return {"model_type": family, **known, **sizes, "num_hidden_layers": layers, "pad_token_id": 0}


def cell_of(cell, family, dtype, packed, lora, *, layers=2, training=None, **sizes):
    config = architecture(family, layers, **sizes)
    adapter = {"peft_type": "lora", "r": 8, "target_modules": "all-linear", **(lora or {})}
    dtype, _, half = dtype.partition(" as ")
    options = {"bf16": bool(half) or dtype == "bfloat16", "per_device_train_batch_size": ROWS, "max_length": LENGTH, "engine": "trl"}  # fmt: skip
    return replace(
        cell,
        model=cell.model.model_copy(update={"architecture": config, "dtype": dtype}),
        quantization_config={"load_in_4bit": True} if packed else {},
        adapter_config={"peft_type": "full"} if lora is None else adapter,
        training={**options, **(training or {})},
    )


def model_of(cell):
    known = dict(cell.model.architecture)
    config = AutoConfig.for_model(known.pop("model_type"), **known)
    encoder = config.model_type in ("bert", "roberta")
    kind = AutoModelForSequenceClassification if encoder else AutoModelForCausalLM
    set_seed(0)
    model = kind.from_config(config, dtype=getattr(torch, cell.model.dtype))
    if cell.quantization_config:
        pack(model)
    adapter = dict(cell.adapter_config)
    if adapter.pop("peft_type") == "lora":
        task = "SEQ_CLS" if encoder else "CAUSAL_LM"
        model = get_peft_model(model, LoraConfig(task_type=task, **adapter))
    in_float32(model)
    return model.train()


def pack(model):
    bnb = pytest.importorskip("bitsandbytes")
    for name, module in list(model.named_modules()):
        if isinstance(module, torch.nn.Linear) and name != "lm_head":
            layer = bnb.nn.Linear4bit(
                module.in_features, module.out_features, bias=False, quant_type="nf4",
                compute_dtype=torch.bfloat16,
            )  # fmt: skip
            layer.weight = bnb.nn.Params4bit(
                module.weight.data, requires_grad=False, quant_type="nf4"
            )
            model.set_submodule(name, layer.to("cpu"))
    model.is_loaded_in_4bit = True


def loss_of(model, cell):
    ids = torch.randint(1, SIZES["vocab_size"], (ROWS, LENGTH))
    half = cell.training["bf16"]
    with torch.autocast("cpu", torch.bfloat16, enabled=half, cache_enabled=False):
        return model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.float().sum()


class Held:
    """What a saved tensor is wrapped in; it goes when autograd lets it go."""

    def __init__(self, tensor):
        self.tensor = tensor


def saved_bytes(cell, passed=None):
    """Bytes that autograd holds when the forward pass is over, besides the model's own.

    ``passed`` gives the loss, within, and what else is there for the whole training.
    """
    model = model_of(cell)
    own = {p.untyped_storage().data_ptr() for p in (*model.parameters(), *model.buffers())}
    all_held = []
    passed = passed or (lambda model: nullcontext((loss_of(model, cell), [])))

    def keep(tensor):
        held = Held(tensor)
        all_held.append(weakref.ref(held))
        return held

    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda held: held.tensor),
        passed(model) as (loss, more),
    ):
        own |= {tensor.untyped_storage().data_ptr() for tensor in more}
    storages = {}
    for held in filter(None, (each() for each in all_held)):
        storage = held.tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
    assert loss.requires_grad
    return sum(size for address, size in storages.items() if address not in own)


@pytest.mark.usefixtures("as_on_cuda")
@pytest.mark.parametrize(("family", "dtype", "packed", "lora"), LAYERS)
def test_a_layer_keeps_what_the_estimate_says(cell, family, dtype, packed, lora):
    few, many = (cell_of(cell, family, dtype, packed, lora, layers=n) for n in (1, 3))
    counted = (saved_bytes(many) - saved_bytes(few)) / 2
    shape = shape_of(many.model.architecture)
    kept = layer_as_it_is(shape, many)
    found = kept.token * ROWS * LENGTH + kept.layer
    if lora is None and many.training["bf16"]:  # counted with the weights: 16-bit copies of them
        found += 2 * shape.linear_weights / shape.layers
    assert found == pytest.approx(counted, rel=0.03)


@contextmanager
def by_engine(model):
    """The loss of one flat batch with adapters fused, and the copies that those keep."""
    row = {"input_ids": [1 + k % 60 for k in range(ROWS * LENGTH)]}
    batch = flat_batch(rows_of([row | {"labels": row["input_ids"]}]), torch.device("cpu"))
    with (
        flat_attention(model),
        fused(model, half=True, wanted=True) as found,
        reading(batch.segments),
    ):
        found.copies.begin()
        yield learn(model, batch, share=1.0, half=True).loss, found.copies.copies


@pytest.mark.parametrize("family", ["gemma3_text", "phi3"])
def test_a_layer_of_the_engine_keeps_what_the_estimate_says(cell, family):
    """Of families whose adapters are fused and nothing else; the others' kernels need a card."""
    few, many = (
        cell_of(cell, family, "bfloat16", False, {}, layers=n, max_position_embeddings=512)
        for n in (1, 3)
    )
    counted = (saved_bytes(many, by_engine) - saved_bytes(few, by_engine)) / 2
    shape = shape_of(many.model.architecture)
    kept = layer_of_engine(shape, many)
    queries, keys = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
    # on a CPU rows are put together after attention, which has kept each, and its values are not
    # copied: of Phi 3 they are a part of one tensor with queries and keys
    more = 2 * queries + (2 * (queries + keys) if family == "phi3" else 0)
    found = (kept.token + more) * ROWS * LENGTH + kept.layer
    assert found == pytest.approx(counted, rel=0.03)


class Live(TorchDispatchMode):
    """Follows the bytes that are held besides those of ``own``, and the most of them."""

    def __init__(self, own):
        super().__init__()
        self.own = {tensor.untyped_storage().data_ptr() for tensor in own}
        self.sizes, self.peak = {}, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(found):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if id(storage) not in self.sizes and storage.data_ptr() not in self.own:
                    self.sizes[id(storage)] = storage.nbytes()
                    weakref.finalize(storage, self.sizes.pop, id(storage))
                    self.peak = max(self.peak, sum(self.sizes.values()))
        return found


PEAKS = [
    # 4 bits, LoRA (None: full), checkpointed
    (False, {}, False),
    (False, DROPS, True),
    (False, DORA, False),
    (False, DORA, True),
    (False, DORA | DROPS, False),
    (False, DORA | DROPS, True),
    (False, None, False),
    (False, None, True),
    (True, DORA, True),
    (True, DORA | DROPS, False),
]


@pytest.mark.usefixtures("as_on_cuda")
@pytest.mark.parametrize(("packed", "lora", "checkpointed"), PEAKS)
def test_a_step_holds_what_the_estimate_says(cell, packed, lora, checkpointed):
    training = {"gradient_checkpointing": checkpointed}
    cell = cell_of(cell, "llama", "bfloat16", packed, lora, layers=4, training=training)
    model = model_of(cell)
    if checkpointed:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    for parameter in model.parameters():  # they are there from the start, as in a captured step
        parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    live = Live((*model.parameters(), *model.buffers(), *gradients))
    with live:
        loss_of(model, cell).backward()
    shape = shape_of(cell.model.architecture)
    found = activations(shape, cell)
    if lora is None:  # counted with the weights: 16-bit copies of them
        found += 2 * shape.parameters / (shape.layers if checkpointed else 1)
    assert 0.9 < found / live.peak < 1.15
