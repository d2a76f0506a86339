"""A checkpoint's config.json comes from anyone: a broken one is one message, and no hang."""

import json

import pytest

from harness.errors import HarnessError
from harness.plan.architecture import architecture_of, shape_of
from harness.plan.modules import layer_names
from harness.suite.model_card import ModelCard

GOOD = {
    "model_type": "qwen2", "hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4,
    "num_key_value_heads": 2, "num_hidden_layers": 2, "vocab_size": 100,
}  # fmt: skip
BROKEN = [b"", b"{", b"[]", b"null", b"3", b"\xff\xfe", b"[" * 100_000, b'"x"']
ODD = ["64", "", [64], {}, True, 0, -1, 2.5, 10**40, "/etc/passwd"]


def found(tmp_path, data):
    (tmp_path / "config.json").write_bytes(data)
    return architecture_of(ModelCard(name="m", source=str(tmp_path)))


@pytest.mark.parametrize("data", BROKEN, ids=range(len(BROKEN)))
def test_what_is_no_configuration_is_named(tmp_path, data):
    with pytest.raises(HarnessError, match=r"config\.json: (cannot be read|is no model's)"):
        found(tmp_path, data)


@pytest.mark.parametrize("key", [key for key in GOOD if key != "model_type"])
@pytest.mark.parametrize("value", ODD, ids=map(str, ODD))
def test_a_size_that_is_none_is_named(tmp_path, key, value):
    with pytest.raises(HarnessError, match=rf"config\.json: {key}: expected a whole number"):
        found(tmp_path, json.dumps({**GOOD, key: value}).encode())


@pytest.mark.parametrize("key", [key for key in GOOD if key != "num_key_value_heads"])
def test_a_configuration_without_a_size_has_no_shape(tmp_path, key):
    part = {name: value for name, value in GOOD.items() if name != key}
    assert shape_of(found(tmp_path, json.dumps(part).encode())) is None
    assert shape_of(found(tmp_path / ".", json.dumps(part).encode())) is None


def test_a_size_that_is_null_is_the_usual_one(tmp_path):
    encoder = {**GOOD, "model_type": "bert", "max_position_embeddings": 64}
    null = {**encoder, "type_vocab_size": None, "num_key_value_heads": None}
    assert shape_of(found(tmp_path, json.dumps(null).encode())) == shape_of(encoder)


def test_a_billion_layers_are_not_listed(tmp_path):
    assert layer_names({**GOOD, "num_hidden_layers": 10**9}) is None
    assert layer_names({**GOOD, "num_hidden_layers": "x"}) is None
    assert shape_of({**GOOD, "num_hidden_layers": 10**9}) is None
    assert layer_names(GOOD)
    assert shape_of(GOOD).layers == 2
