"""A head's answer does not hang on what shares its batch."""

import pytest
import torch
from peft import PromptTuningConfig, get_peft_model
from transformers import GPT2Config, LlamaConfig, set_seed
from transformers.models.auto.modeling_auto import AutoModelForSequenceClassification

from harness.backends.hf.decoding.heads import head_scores, training_side
from harness.backends.hf.models.loading import load_tokenizer
from harness.suite.model_card import load_model_card

SHAPE = {"vocab_size": 4096, "num_labels": 3, "pad_token_id": 0}
CONFIGS = {
    "rotary": LlamaConfig(
        **SHAPE, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2
    ),
    "learned positions": GPT2Config(**SHAPE, n_embd=32, n_layer=2, n_head=2, n_positions=64),
}
TEXTS = [[5, 6, 7, 8, 9], [10, 11], [12, 13, 14], [15, 16, 17], [18]]


@pytest.mark.parametrize("virtual", [0, 3], ids=["plain", "prompt tuning"])
@pytest.mark.parametrize("kind", CONFIGS)
def test_scores_do_not_depend_on_the_batch(kind, virtual, root):
    set_seed(0)
    model = AutoModelForSequenceClassification.from_config(CONFIGS[kind], dtype=torch.float32)
    for parameter in model.parameters():
        parameter.data.normal_(0, 0.3)
    if virtual:
        config = PromptTuningConfig(num_virtual_tokens=virtual, task_type="SEQ_CLS")
        model = get_peft_model(model, config)
    assert training_side(model) == ("left" if virtual else "right")
    tokenizer = load_tokenizer(load_model_card(root / "models" / "tiny-llama.yaml"))
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(0)
    model = model.eval()
    single, together = (
        torch.tensor(head_scores(model, tokenizer, TEXTS, batch_size=n)) for n in (1, 5)
    )
    torch.testing.assert_close(together, single, rtol=1e-4, atol=1e-4)
    assert len({round(float(row[0]), 3) for row in single}) > 2
