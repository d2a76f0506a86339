"""No comparison takes NaN for agreement: ``nan > limit`` is false, and so is ``max(0.0, nan)``."""

import math
from types import SimpleNamespace

import pytest
import torch
from transformers import BertConfig, LlamaConfig
from transformers.models.auto.modeling_auto import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
)

from harness.backends.hf.decoding import heads, likelihood
from harness.backends.hf.decoding.agreement import (
    Step,
    check_causal,
    disagreement,
    distance,
    furthest,
)
from harness.backends.hf.decoding.flat_likelihood import Likelihood
from harness.backends.hf.encoding import Encoded
from harness.backends.hf.export import reading_back
from harness.backends.hf.training.packing import check_packing
from harness.backends.hf.training.passes import Pass, Tolerance, apart
from harness.errors import HarnessError

NAN, INF = math.nan, math.inf
SIZES = {
    "vocab_size": 32, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
    "num_attention_heads": 2, "max_position_embeddings": 32, "pad_token_id": 0,
}  # fmt: skip
ROWS = [Encoded([k, 4, 5], [6, 7], False) for k in (1, 2, 3)]


def model_of(*, spoilt=False):
    model = AutoModelForCausalLM.from_config(LlamaConfig(**SIZES), dtype=torch.float32).eval()
    if spoilt:
        model.lm_head.weight.data[3, 5] = NAN
    return model


def passes(**changed):
    """Two passes that agree, but for what is changed in the found or in the wanted one."""
    plain = {"loss": 1.0, "gradients": [torch.ones(2)], "others": []}
    found, wanted = ({**plain, **changed.get(which, {})} for which in ("found", "wanted"))
    return apart(Pass(**found), Pass(**wanted), Tolerance(0.1, 0.1))


def rows_apart(place, number):
    """What the rows together are said to differ by, where one of them has ``number`` for a loss."""
    model = model_of()
    with torch.inference_mode():
        together = [likelihood._batch(model, [row], 0)[0] for row in ROWS]
        if number is not None:
            together[place] = Likelihood(number, 2, 0, 0.0)
        return likelihood._apart(model, together, ROWS)


def steps_apart(found, wanted):
    right, step = (Step([1], torch.tensor([logits])) for logits in (wanted, found))
    return disagreement([right], lambda: [step], 0.1)


def head_apart(number, monkeypatch):
    config = BertConfig(**SIZES, num_labels=3)
    model = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32).eval()
    flat = heads._flat
    texts = [[5, 6], [7, 8, 9]]

    def spoilt(model, texts):
        return [*flat(model, texts)[:-1], [number] * 3]

    with torch.inference_mode():
        if number is not None:
            monkeypatch.setattr(heads, "_flat", spoilt)
        return heads._differs(model, texts)


def causal(spoilt):
    try:
        check_causal(model_of(spoilt=spoilt), [5, 6, 7])
    except HarnessError as error:
        return str(error)
    return None


def packed(spoilt):
    try:
        check_packing(model_of(spoilt=spoilt), [{"input_ids": [5, 6]}, {"input_ids": [7, 8]}])
    except HarnessError as error:
        return str(error)
    return None


COMPARED = {
    "likelihoods, the first row": lambda n, _: rows_apart(0, n),
    "likelihoods, another row": lambda n, _: rows_apart(1, n),
    "likelihoods, the last row": lambda n, _: rows_apart(2, n),
    "logits found": lambda n, _: steps_apart([1.0, 2.0, 1.0 if n is None else n], [1.0, 2.0, 1.0]),
    "logits wanted": lambda n, _: steps_apart([1.0, 2.0, 1.0], [1.0, 2.0, 1.0 if n is None else n]),
    "a head": head_apart,
    "a loss found": lambda n, _: passes(found={"loss": 1.0 if n is None else n}),
    "a loss wanted": lambda n, _: passes(wanted={"loss": 1.0 if n is None else n}),
    "gradients found": lambda n, _: passes(
        found={"gradients": [torch.tensor([1.0, 1.0 if n is None else n])]}
    ),
    "gradients wanted": lambda n, _: passes(
        wanted={"gradients": [torch.tensor([1.0, 1.0 if n is None else n])]}
    ),
    "gradients of weights that were zero": lambda n, _: passes(
        found={"others": [torch.tensor([1.0, 1.0 if n is None else n])]},
        wanted={"others": [torch.ones(2)]},
    ),
    "a model's logits, causal": lambda n, _: causal(n is not None),
    "a model's logits, packed": lambda n, _: packed(n is not None),
}
"""Comparison → how it differs with that number in one place; with None, as it should be."""


@pytest.mark.parametrize("number", [None, NAN, INF], ids=["sound", "nan", "infinite"])
@pytest.mark.parametrize("name", COMPARED)
def test_what_is_not_a_number_counts_as_away(name, number, monkeypatch):
    torch.manual_seed(0)
    found = COMPARED[name](number, monkeypatch)
    assert (found is None) == (number is None)


def test_logits_that_are_not_numbers_are_not_called_an_encoder():
    assert "llama gives logits that are not numbers (NaN or infinite)" in causal(spoilt=True)


def test_a_vocabulary_padded_with_minus_infinity_is_no_difference():
    padded = torch.tensor([1.0, 2.0, -INF])
    assert distance(padded, padded) == 0.0


@pytest.mark.parametrize("place", range(3))
def test_the_furthest_of_distances_is_nan_wherever_it_is(place):
    distances = [0.0, 1.0, 2.0]
    assert furthest(distances) == 2.0
    distances[place] = NAN
    assert math.isnan(furthest(distances))


@pytest.mark.parametrize("spoilt", ["lm_head.weight", "model.layers.0.mlp.up_proj.weight"])
def test_a_file_read_back_with_nan_does_not_agree(spoilt):
    model, found = model_of(), model_of()
    found.load_state_dict(model.state_dict())
    found.get_parameter(spoilt).data[1, 1] = NAN

    def tokenizer(text, **_):
        return {"input_ids": [ord(letter) % 32 for letter in text]}

    merged = SimpleNamespace(tokenizer=tokenizer)
    result = reading_back._compared(model, found, merged, ["ab", "cd"])
    assert math.isnan(result.weights_differ_by)
    assert math.isnan(result.logits_differ_by)
