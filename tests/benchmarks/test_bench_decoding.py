"""Batched decoding by the engine against what a notebook does: `generate`, one prompt at a time."""

import time

import pytest
import torch

from harness.backends.hf.decoding.decode import decode
from harness.backends.hf.models.loading import load_model, load_tokenizer
from harness.plan.expand import expand
from harness.suite.loading import load_suite

PROMPTS, TOKENS = 64, 32
MIN_RATIO = 8


@pytest.fixture(scope="module")
def loaded(root):
    path = root / "suites" / "finance.yaml"
    cell = expand(load_suite(path), path)[0]
    tokenizer = load_tokenizer(cell.model)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # two threads on a busy machine would slow the many small steps most
    yield load_model(cell, tokenizer), tokenizer
    torch.set_num_threads(threads)


def test_the_engine_is_at_least_8_times_as_fast_as_one_prompt_at_a_time(loaded, benchmark, figure):
    model, tokenizer = loaded
    prompts = [tokenizer(f"Question {k}: what is {k} / 7?").input_ids for k in range(PROMPTS)]
    options = {"max_new_tokens": TOKENS, "min_new_tokens": TOKENS, "do_sample": False}

    def engine():
        return decode(model, tokenizer, prompts, options=options, batch_size=PROMPTS)

    def one_at_a_time():
        for prompt in prompts:
            with torch.inference_mode():
                model.generate(
                    input_ids=torch.tensor([prompt]), max_new_tokens=TOKENS,
                    min_new_tokens=TOKENS, do_sample=False, pad_token_id=0,
                )  # fmt: skip

    engine()
    started = time.perf_counter()
    one_at_a_time()
    slow = time.perf_counter() - started
    benchmark.pedantic(engine, rounds=3)
    ratio = slow / benchmark.stats["min"]
    figure(
        f"decoding {PROMPTS} prompts by the engine against `generate`, one at a time",
        f"≥ {MIN_RATIO} times", f"{ratio:.1f} times", ratio >= MIN_RATIO,
        seconds={"generate": slow, "engine": benchmark.stats["min"]},
    )  # fmt: skip
    assert ratio >= MIN_RATIO
