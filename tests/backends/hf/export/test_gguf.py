"""A GGUF file holds the model it was made from, or is not written."""

from dataclasses import replace

import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import (
    AutoTokenizer,
    GemmaConfig,
    GemmaForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from harness.backends.hf.export import gguf_file, gguf_words
from harness.backends.hf.export.gguf_file import write_gguf
from harness.backends.hf.export.gguf_words import SPLITS, words_of
from harness.backends.hf.export.merged import Merged, merge
from harness.backends.hf.export.reading_back import read_back
from harness.errors import HarnessError

pytest.importorskip("gguf")
PROBES = ["How much is 12 + 30?", "Сколько будет 7 и 5?"]


@pytest.fixture
def merged(cell_of, adapter_of):
    def make(model, **options):
        cell = cell_of(model)
        return merge(cell, adapter_of(cell), **options)

    return make


@pytest.fixture
def small(root):
    """A model of random weights with a tokenizer of ours: cheaper than one with an adapter."""
    tokenizer = AutoTokenizer.from_pretrained(root / "models" / "tiny" / "tiny-llama")

    def make(**settings):
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=4096, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=False, **settings,
        )  # fmt: skip
        return Merged(LlamaForCausalLM(config).eval(), tokenizer, ())

    return make


def written(merged, path, stored):
    write_gguf(merged, path, stored=stored, name="x")
    return read_back(merged, path, stored, PROBES)


@pytest.mark.parametrize("model", ["tiny-qwen2", "tiny-llama"])
def test_what_is_read_again_is_what_was_written(merged, tmp_path, model):
    found = written(merged(model), tmp_path / "m.gguf", "f32")
    assert (found.weights_differ_by, found.logits_differ_by) == (0.0, 0.0)
    assert found.same_next_token == 1.0


@pytest.mark.parametrize(
    ("dtype", "stored", "weights"),
    [
        (torch.bfloat16, "bf16", 0.0),
        (torch.float16, "f16", 0.0),
        (torch.float32, "f16", 1e-3),
        (torch.float32, "q8_0", 1e-2),
        (torch.float32, "q4_0", 0.2),
    ],
)
def test_a_type_rounds_as_much_as_it_must(small, tmp_path, dtype, stored, weights):
    made = small()
    for weight in made.model.parameters():
        weight.data = weight.data.to(dtype)
    found = written(made, tmp_path / "m.gguf", stored)
    assert found.weights_differ_by <= weights
    assert (found.weights_differ_by > 0) is (weights > 0)


def test_a_file_that_computes_something_else_is_found_and_deleted(small, tmp_path, monkeypatch):
    wrong = replace(gguf_file.ARCHITECTURES["llama"], interleaved=False)
    monkeypatch.setitem(gguf_file.ARCHITECTURES, "llama", wrong)
    with pytest.raises(HarnessError, match="does not compute what its model does"):
        written(small(), tmp_path / "m.gguf", "f32")
    assert not (tmp_path / "m.gguf").exists()


@pytest.mark.parametrize("stored", ["f32", "f16"])
def test_a_file_of_weights_that_are_not_numbers_is_deleted(small, tmp_path, stored):
    made = small()
    made.model.model.layers[1].mlp.up_proj.weight.data[2, 3] = float("nan")
    with pytest.raises(HarnessError, match="logits differ by nan"):
        written(made, tmp_path / "m.gguf", stored)
    assert not (tmp_path / "m.gguf").exists()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (
            {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}},
            "rope_type",
        ),
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"attention_bias": True}, "attention_bias"),
        ({"mlp_bias": True}, "mlp_bias"),
    ],
)
def test_settings_that_were_never_compared_are_refused(small, tmp_path, settings, named):
    made = small()
    for key, value in settings.items():
        setattr(made.model.config, key, value)
    with pytest.raises(HarnessError, match=f"another `{named}` than usual"):
        write_gguf(made, tmp_path / "m.gguf", stored="f32", name="x")


def test_an_architecture_that_was_never_compared_is_refused(small, tmp_path):
    config = GemmaConfig(
        vocab_size=64, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=1, head_dim=8,
    )  # fmt: skip
    other = Merged(GemmaForCausalLM(config), small().tokenizer, ())
    with pytest.raises(HarnessError, match=r"GemmaForCausalLM \(gemma\) was never compared"):
        write_gguf(other, tmp_path / "m.gguf", stored="f32", name="x")


def tokenizer(split, *, model=None, normalizer=None):
    made = Tokenizer(model or models.BPE(vocab={"a": 0, "b": 1, "ab": 2}, merges=[("a", "b")]))
    made.pre_tokenizer = split
    if normalizer:
        made.normalizer = normalizer
    made.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=made)


def split_by(pattern):
    steps = [
        pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]
    return pre_tokenizers.Sequence(steps)


BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False)
DIGITS = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), BYTES])


@pytest.mark.parametrize(
    ("split", "name"),
    [
        (BYTES, "gpt-2"),
        (DIGITS, "smollm"),
        (split_by(gguf_words.QWEN2), "qwen2"),
        (split_by(gguf_words.LLAMA3), "llama-bpe"),
    ],
    ids=SPLITS,
)
def test_how_text_is_split_is_named_as_llama_cpp_does(split, name):
    assert words_of(tokenizer(split), 3).pre == name


def test_the_rules_are_those_of_transformers_own_readers():
    from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

    assert PRETOKENIZE_REGEX == gguf_words.QWEN2


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (lambda: tokenizer(split_by(r"\d+|\D+")), "its pre-tokenizer is"),
        (
            lambda: tokenizer(pre_tokenizers.ByteLevel(add_prefix_space=True)),
            "its pre-tokenizer is",
        ),
        (lambda: tokenizer(BYTES, normalizer=normalizers.Lowercase()), "its normalizer is"),
        (lambda: tokenizer(BYTES, model=models.WordLevel({"a": 0}, "a")), "it is WordLevel"),
        (lambda: tokenizer(BYTES, model=models.BPE(byte_fallback=True)), "it is BPE on characters"),
    ],
    ids=["pattern", "prefix space", "normalizer", "words", "sentencepiece"],
)
def test_a_tokenizer_that_llama_cpp_may_split_otherwise_is_refused(made, why):
    with pytest.raises(HarnessError, match=f"not known to split text .*: {why}"):
        words_of(made(), 100)


def test_ids_without_a_token_are_filled_and_a_token_without_an_id_is_refused():
    words = words_of(tokenizer(BYTES), 5)
    assert words.tokens == ["a", "b", "ab", "[PAD3]", "[PAD4]"]
    assert words.kinds[3:] == [gguf_words.UNUSED] * 2
    with pytest.raises(HarnessError, match="token 2 is beyond the model's 2"):
        words_of(tokenizer(BYTES), 2)


def test_the_tokenizer_beside_a_file_is_used_for_it(small, tmp_path, cell_of):
    """Transformers knows no name for digits that stand alone, and would split them as GPT-2 does."""
    from harness.backends.hf.models.loading import load_tokenizer

    made = small()
    made.tokenizer.save_pretrained(tmp_path)
    write_gguf(made, tmp_path / "m.gguf", stored="f32", name="x")
    card = cell_of("tiny-llama").model
    card = card.model_copy(update={"source": str(tmp_path), "gguf_file": "m.gguf"})
    text = "2024 and 3.50"
    right = made.tokenizer(text)["input_ids"]
    assert load_tokenizer(card)(text)["input_ids"] == right
