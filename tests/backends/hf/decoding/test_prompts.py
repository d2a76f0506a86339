"""Widths that batches of prompts are padded to, so that they share a shape where they are short."""

import gc
import weakref
from functools import partial

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from harness.backends.hf.decoding.cache import FixedCache
from harness.backends.hf.decoding.engine import Engine
from harness.backends.hf.decoding.prompts import few_tokens, prompts_like, width_of

CONFIG = LlamaConfig(
    vocab_size=64, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2
)


@pytest.mark.parametrize(
    ("rows", "longest", "width"),
    [
        (1, 1, 64),
        (1, 64, 64),
        (16, 65, 128),
        (16, 128, 128),
        (16, 129, 129),
        (64, 20, 20),
        (1, 2049, 2049),
    ],
)
def test_few_tokens_are_padded_to_a_width_that_others_have(rows, longest, width):
    assert width_of([[5] * longest, *[[5]] * (rows - 1)], 2048) == width


@pytest.mark.parametrize(("size", "few"), [(100, 2048), (40_000, 1250)])
def test_a_large_model_reads_fewer_tokens_by_a_graph(size, few):
    with torch.device("meta"):
        assert few_tokens(torch.nn.Sequential(torch.nn.Linear(size, size))) == few


def read_by(engine, *_):
    return engine._ends.float()


def test_an_engine_that_read_prompts_is_freed_without_a_collection():
    """A circle of engine and prompts would hold the cache until the next collection."""
    model = AutoModelForCausalLM.from_config(CONFIG)
    engine = Engine(model, pad=0, ends=[1], capture=False)
    cache = FixedCache(8, torch.zeros(1, dtype=torch.long))
    engine._prompts = prompts_like(None, model, cache, torch.Size([1, 4]))
    ids = torch.tensor([[5, 6, 7, 8]])
    engine._prompts.logits(ids, {}, torch.arange(4)[None], partial(read_by, engine))
    freed = weakref.ref(engine)
    gc.disable()
    try:
        del engine
        assert freed() is None
    finally:
        gc.enable()
