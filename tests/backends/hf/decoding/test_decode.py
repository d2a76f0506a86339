from pathlib import Path

import pytest

from harness.backends.hf.decoding.decode import decode
from harness.backends.hf.decoding.likelihood import score_answers
from harness.backends.hf.encoding import Encoded
from harness.backends.hf.models.loading import load_model, load_tokenizer
from harness.plan.expand import expand
from harness.suite.loading import load_suite

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def loaded():
    path = ROOT / "suites" / "finance.yaml"
    cell = expand(load_suite(path), path)[0]
    tokenizer = load_tokenizer(cell.model)
    return load_model(cell, tokenizer), tokenizer


PROMPTS = ["150 / 600 × 100% =", "What is a bond?", "Сколько будет 240 / 60?", "Hello!", "1 + 1 ="]
GREEDY = {"max_new_tokens": 24, "do_sample": False}


def test_a_batch_of_one_equals_a_batch_of_five(loaded):
    model, tokenizer = loaded
    ids = [tokenizer(prompt).input_ids for prompt in PROMPTS]
    one, five = (
        decode(model, tokenizer, ids, options=GREEDY, batch_size=n).answers for n in (1, 5)
    )
    assert [a.text for a in one] == [a.text for a in five]


def test_a_cut_answer_says_length(loaded):
    model, tokenizer = loaded
    ids = [tokenizer("150 / 600 = ").input_ids]
    options = {"max_new_tokens": 2, "do_sample": False}
    (answer,) = decode(model, tokenizer, ids, options=options, batch_size=1).answers
    assert (answer.finish_reason, answer.new_tokens) == ("length", 2)


def test_a_stop_string_ends_an_answer(loaded):
    model, tokenizer = loaded
    ids = [tokenizer("150 / 600 × 100% =").input_ids]
    options = {**GREEDY, "stop_strings": ["\n"]}
    (answer,) = decode(model, tokenizer, ids, options=options, batch_size=1).answers
    assert answer.finish_reason == "stop"
    assert "\n" not in answer.text


def test_likelihood_equals_the_model_s_own_loss(loaded):
    import torch

    model, tokenizer = loaded
    rows = [Encoded(tokenizer("2 + 2 =").input_ids, tokenizer(" 4, 5 and 6").input_ids, False)]
    rows.append(Encoded(tokenizer("A").input_ids, tokenizer(" bond").input_ids, False))
    found = score_answers(model, rows, pad=tokenizer.pad_token_id, batch_size=2)
    for row, score in zip(rows, found, strict=True):
        ids = torch.tensor([row.prompt_ids + row.answer_ids], device=model.device)
        labels = ids.clone()
        labels[:, : len(row.prompt_ids)] = -100
        with torch.no_grad():
            loss = model(input_ids=ids, labels=labels).loss.item()
        assert score.nll / score.tokens == pytest.approx(loss, rel=1e-4)


def test_the_pretrained_model_is_no_noise(loaded):
    model, tokenizer = loaded
    text = "Inflation is a general rise of prices over time."
    ids = tokenizer(text).input_ids
    (score,) = score_answers(
        model, [Encoded(ids[:2], ids[2:], False)], pad=tokenizer.pad_token_id, batch_size=1
    )
    assert score.nll / score.tokens < 2.0
