"""A suite's settings as a request's keys, and a reply read."""

import pytest
from pydantic import ValidationError

from harness.endpoint.chat import read_reply, sampling
from harness.errors import HarnessError
from harness.suite.endpoint import Endpoint

URL = "http://127.0.0.1:8000/v1"
SETTINGS = {
    "greedy": ({"max_new_tokens": 9, "do_sample": False}, {}, {"max_tokens": 9, "temperature": 0}),
    "greedy, whatever the temperature": (
        {"max_new_tokens": 9, "temperature": 0.7, "top_p": 0.9}, {},
        {"max_tokens": 9, "temperature": 0},
    ),
    "sampled": (
        {"max_new_tokens": 9, "do_sample": True, "temperature": 0.7, "top_p": 0.9}, {},
        {"max_tokens": 9, "temperature": 0.7, "top_p": 0.9, "seed": 5},
    ),
    "ends": ({"stop_strings": ["\n"]}, {}, {"stop": ["\n"], "temperature": 0}),
    "a key set to null": ({"repetition_penalty": None}, {}, {"temperature": 0}),
    "a key of the server's": (
        {"repetition_penalty": 1.1}, {"repetition_penalty": 1.1},
        {"repetition_penalty": 1.1, "temperature": 0},
    ),
    "another name of the limit": (
        {"max_new_tokens": 9}, {"max_completion_tokens": 9},
        {"max_completion_tokens": 9, "temperature": 0},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_become_the_keys_that_every_server_knows(name):
    generation, extra, keys = SETTINGS[name]
    endpoint = Endpoint(base_url=URL, model="m", extra_body=extra)
    assert sampling(generation, endpoint, seed=5) == keys


def test_a_setting_that_cannot_be_sent_is_refused():
    with pytest.raises(HarnessError, match=r"num_beams, top_k cannot be sent.*\n.*extra_body"):
        sampling({"top_k": 5, "num_beams": 2}, Endpoint(base_url=URL, model="m"), seed=0)


MESSAGES = {
    "an answer": ({"content": " 5 \n"}, "5"),
    "nothing": ({"content": None}, ""),
    "reasoning": (
        {"content": "5", "reasoning_content": "2 + 3"}, "<think>\n2 + 3\n</think>\n\n5"
    ),
    "reasoning by its other name": ({"content": "5", "reasoning": "a"}, "<think>\na\n</think>\n\n5"),
}  # fmt: skip


@pytest.mark.parametrize("name", MESSAGES)
def test_an_answer_is_read_with_its_reasoning(name):
    message, text = MESSAGES[name]
    reply = read_reply({"choices": [{"message": message, "finish_reason": "length"}], "more": 1})
    assert (reply.text, reply.finish_reason) == (text, "length")
    assert reply.server == ("", "")


def test_half_a_character_and_endless_names_are_made_harmless():
    reply = read_reply(
        {"choices": [{"text": "a\ud800b", "finish_reason": "x" * 9999}], "model": "\udfff"}
    )
    assert reply.text == "a\\ud800b"
    assert reply.model == "\\udfff"
    assert len(reply.finish_reason) == 200
    reply.model_dump_json().encode()


ADDRESSES = {
    "localhost:8000/v1": "expected an address",
    "ftp://host/v1": "expected an address",
    "http://me:secret@host/v1": "write no password",
    "https://host/v1?api_key=1": "write no password",
    "http://host/v1/chat/completions": "leave out /chat/completions",
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_that_cannot_be_right_is_refused(address):
    with pytest.raises(ValidationError, match=ADDRESSES[address]):
        Endpoint(base_url=address, model="m")


def test_how_a_model_is_reached_is_not_what_it_is():
    one = Endpoint(base_url=f"{URL}/", model="m", timeout_s=1, concurrency=2)
    two = Endpoint(base_url="https://host/api/v1", model="m", api_key_env="KEY", cache=False)
    assert one.base_url == URL
    assert one.identity == two.identity == {"model": "m", "extra_body": {}}
