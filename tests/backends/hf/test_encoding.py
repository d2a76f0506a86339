import pytest

from harness.backends.hf.encoding import IGNORED, Encoded, encode, encode_prompts, training_rows
from harness.backends.hf.models.loading import load_tokenizer
from harness.datasets.example import Example
from harness.suite.model_card import load_model_card


@pytest.fixture(scope="module")
def card():
    from pathlib import Path

    return load_model_card(Path(__file__).parents[3] / "models" / "tiny-qwen2.yaml")


@pytest.fixture(scope="module")
def tokenizer(card):
    return load_tokenizer(card)


def test_training_and_decoding_share_the_prompt_ids(card, tokenizer):
    examples = [Example("1", "Чему равен ROE?", "25%"), Example("2", "Hi", "There")]
    found = [row.prompt_ids for row in encode(card, tokenizer, examples)]
    assert found == encode_prompts(card, tokenizer, examples)


def test_the_answer_ends_with_one_end_of_text(card, tokenizer):
    encoded = encode(card, tokenizer, [Example("1", "Hi", "There")])[0]
    assert encoded.answer_ids.count(tokenizer.eos_token_id) == 1
    assert encoded.answer_ids[-1] == tokenizer.eos_token_id


def test_prompt_and_answer_decode_to_the_whole_text(card, tokenizer):
    encoded = encode(card, tokenizer, [Example("1", "Рост 5 %", "1 234,56 млн")])[0]
    text = tokenizer.decode(encoded.prompt_ids + encoded.answer_ids)
    assert text.endswith("assistant\n1 234,56 млн<|im_end|>")


def test_digits_are_single_tokens(tokenizer):
    assert len(tokenizer("123456").input_ids) == 6


def test_rows_that_lose_their_answer_are_counted():
    rows = training_rows(
        [Encoded([1, 2, 3], [4, 9], False)], max_length=3, loss_on="answer", ends={9}
    )
    assert rows.audit["rows_without_loss"] == rows.audit["rows_cut"] == 1
    assert rows.audit["rows_without_eos"] == 1


def test_loss_on_answer_hides_the_prompt():
    rows = training_rows(
        [Encoded([1, 2], [4, 9], False)], max_length=None, loss_on="answer", ends={9}
    )
    assert rows.rows[0]["labels"] == [IGNORED, IGNORED, 4, 9]
