"""An answer ends at every token that the checkpoint or its template ends a turn with."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from transformers import AutoTokenizer

from harness.backends.hf.decoding.decode import decode
from harness.backends.hf.encoding import Encoder
from harness.backends.hf.models.loading import load_model, load_tokenizer
from harness.backends.hf.stop_tokens import loaded_stops, stop_tokens, without_end
from harness.datasets.example import Example
from harness.plan.expand import expand
from harness.suite.loading import load_suite

TINY = Path(__file__).parents[3] / "models" / "tiny" / "tiny-qwen2"
GREEDY = {"max_new_tokens": 48, "do_sample": False}


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(TINY)


def model(config=None, generation=None):
    """What a loaded model says of its ends."""
    named = SimpleNamespace(eos_token_id=config)
    named.get_text_config = lambda: named
    return SimpleNamespace(config=named, generation_config=SimpleNamespace(eos_token_id=generation))


START, END, TEXT_END = (2, 3, 1)
CASES = {
    "the tokenizer's alone": (model(), None, {END: "tokenizer"}, ()),
    "a list of the generation config": (
        model(generation=[END, TEXT_END]), None,
        {END: "tokenizer", TEXT_END: "generation config"}, (),
    ),
    "one of the config": (model(config=TEXT_END), None, {END: "tokenizer", TEXT_END: "config"}, ()),
    "the template's": (
        model(), TEXT_END, {END: "tokenizer", TEXT_END: "chat template"}, (),
    ),
    "a default that is a word here": (model(config=300), None, {END: "tokenizer"}, (300,)),
    "one outside the vocabulary": (model(generation=10**6), None, {END: "tokenizer"}, (10**6,)),
}  # fmt: skip


def test_the_tiny_tokenizer_has_these_ends(tokenizer):
    names = tokenizer.convert_ids_to_tokens([START, END, TEXT_END])
    assert names == ["<|im_start|>", "<|im_end|>", "<|endoftext|>"]
    assert 300 not in tokenizer.added_tokens_decoder


@pytest.mark.parametrize(("loaded", "end", "sources", "left_out"), CASES.values(), ids=CASES)
def test_stop_tokens_are_the_union(tokenizer, loaded, end, sources, left_out):
    found = stop_tokens(tokenizer, loaded, end)
    assert found.sources == sources
    assert found.left_out == left_out
    assert found.ids == list(sources)
    assert set(found.describe()) == {tokenizer.decode([i]) for i in sources}


def test_only_an_end_is_cut_from_an_answer():
    assert without_end([5, 6, 3], {3}) == [5, 6]
    assert without_end([5, 3, 6], {3}) == [5, 3, 6]
    assert without_end([], {3}) == []


def changed(folder, name, **keys):
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))


@pytest.fixture
def loaded(write_suite, tmp_path):
    def load(**tokenizer_keys):
        folder = tmp_path / f"model-{len(tokenizer_keys)}"
        shutil.copytree(TINY, folder)
        if tokenizer_keys:  # as in checkpoints whose files name the pretraining's end alone
            changed(folder, "tokenizer_config.json", **tokenizer_keys)
            for name in ("config.json", "generation_config.json"):
                changed(folder, name, eos_token_id=TEXT_END)
        path = write_suite()
        cell = expand(load_suite(path), path)[0]
        card = cell.model.model_copy(update={"source": str(folder)})
        tokenizer = load_tokenizer(card)
        from dataclasses import replace

        return load_model(replace(cell, model=card), tokenizer), tokenizer, card

    return load


@pytest.mark.parametrize("options", [{}, {"repetition_penalty": 1.0}], ids=["engine", "generate"])
def test_another_end_of_text_does_not_make_a_chat_model_run_on(loaded, options):
    examples = [Example(str(k), text, "") for k, text in enumerate(["2 + 2 = ?", "Hello!"])]
    found = []
    for keys in ({}, {"eos_token": "<|endoftext|>"}):
        model, tokenizer, card = loaded(**keys)
        prompts = Encoder(card, tokenizer).prompts(examples)
        answers = decode(
            model, tokenizer, prompts, options={**GREEDY, **options}, batch_size=2
        ).answers
        found.append([(a.text, a.new_tokens, a.finish_reason) for a in answers])
        assert END in loaded_stops(model).ids
    control, other = found
    assert control == other
    assert any(reason == "stop" for _, _, reason in control)
    assert not any("<|im_end|>" in text for text, _, _ in other)
