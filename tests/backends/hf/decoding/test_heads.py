"""A head's answer does not hang on what shares its batch."""

import pytest
import torch
from peft import PromptTuningConfig, get_peft_model
from transformers import BertConfig, GPT2Config, LlamaConfig, MistralConfig, set_seed
from transformers.models.auto.modeling_auto import AutoModelForSequenceClassification

from harness.backends.hf.decoding import heads
from harness.backends.hf.decoding.agreement import checks_of
from harness.backends.hf.decoding.heads import head_scores, training_side
from harness.backends.hf.models.loading import load_tokenizer
from harness.backends.hf.training.flat_batch import flat_batch
from harness.suite.model_card import load_model_card

SHAPE = {"vocab_size": 4096, "num_labels": 3, "pad_token_id": 0}
CONFIGS = {
    "rotary": LlamaConfig(
        **SHAPE, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2
    ),
    "learned positions": GPT2Config(**SHAPE, n_embd=32, n_layer=2, n_head=2, n_positions=64),
    "encoder": BertConfig(
        **SHAPE, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2
    ),
    "window": MistralConfig(
        **SHAPE, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, sliding_window=4,
    ),
}  # fmt: skip
TEXTS = [[5, 6, 7, 8, 9], [10, 11], [12, 13, 14], [15, 16, 17], [18]]


def made(kind):
    set_seed(0)
    model = AutoModelForSequenceClassification.from_config(CONFIGS[kind], dtype=torch.float32)
    for parameter in model.parameters():
        parameter.data.normal_(0, 0.3)
    return model.eval()


def tokenizer_of(root):
    tokenizer = load_tokenizer(load_model_card(root / "models" / "tiny-llama.yaml"))
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(0)
    return tokenizer


@pytest.mark.parametrize("virtual", [0, 3], ids=["plain", "prompt tuning"])
@pytest.mark.parametrize("kind", ["rotary", "learned positions"])
def test_scores_do_not_depend_on_the_batch(kind, virtual, root):
    model = made(kind)
    if virtual:
        config = PromptTuningConfig(num_virtual_tokens=virtual, task_type="SEQ_CLS")
        model = get_peft_model(model, config)
    assert training_side(model) == ("left" if virtual else "right")
    tokenizer, model = tokenizer_of(root), model.eval()
    single, together = (
        torch.tensor(head_scores(model, tokenizer, TEXTS, batch_size=n)) for n in (1, 5)
    )
    torch.testing.assert_close(together, single, rtol=1e-4, atol=1e-4)
    assert len({round(float(row[0]), 3) for row in single}) > 2


@pytest.mark.parametrize("kind", ["rotary", "learned positions", "encoder"])
def test_flat_texts_score_as_padded_ones(kind, root):
    model = made(kind)
    tokenizer = tokenizer_of(root)
    found = head_scores(model, tokenizer, TEXTS, batch_size=3)
    assert checks_of(model).scored == {"engine": "flat"}
    with torch.inference_mode():
        padded = heads._in_padded(model, tokenizer, TEXTS, list(range(len(TEXTS))), 3)
    torch.testing.assert_close(torch.tensor(found), torch.tensor(padded), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("flat", [True, False], ids=["flat", "padded"])
def test_texts_leave_no_cache_of_keys_and_values(flat, root, monkeypatch):
    model, tokenizer, cached = made("rotary"), tokenizer_of(root), []
    if not flat:
        monkeypatch.setattr(heads, "_flat_reason", lambda *_: "as asked")
    head_scores(model, tokenizer, TEXTS, batch_size=3)  # compares with texts alone, the first time
    model.model.register_forward_hook(lambda _, __, out: cached.append(out.past_key_values))
    head_scores(model, tokenizer, TEXTS, batch_size=3)
    assert cached
    assert not any(cached)


def test_texts_that_read_each_other_are_found_and_padded(root, monkeypatch):
    def mixed(rows, device):
        batch = flat_batch(rows, device)
        batch.segments.bounds = (0, batch.segments.bounds[-1])
        return batch

    model, tokenizer = made("encoder"), tokenizer_of(root)
    wanted = head_scores(model, tokenizer, TEXTS, batch_size=3)
    checks_of(model).verdicts.clear()
    monkeypatch.setattr(heads, "flat_batch", mixed)
    found = head_scores(model, tokenizer, TEXTS, batch_size=3)
    assert "nats off" in checks_of(model).scored["reason"]
    torch.testing.assert_close(torch.tensor(found), torch.tensor(wanted), rtol=1e-5, atol=1e-5)


def test_texts_beyond_the_window_are_padded_also_after_shorter_ones(root):
    model, tokenizer = made("window"), tokenizer_of(root)
    long = [[5, 6, 7, 8, 9, 10, 11], *TEXTS]
    for texts, engine in ((TEXTS[1:], "flat"), (long, "padded"), (TEXTS[1:], "flat")):
        found = head_scores(model, tokenizer, texts, batch_size=3)
        assert checks_of(model).scored["engine"] == engine
        alone = [model(input_ids=torch.tensor([row])).logits.log_softmax(-1) for row in texts]
        torch.testing.assert_close(torch.tensor(found), torch.cat(alone), rtol=1e-4, atol=1e-4)
