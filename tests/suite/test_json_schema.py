"""The schema that editors read: it takes every shipped suite and flags what a person gets wrong."""

import copy

import jsonschema
import pytest

from harness.suite.json_schema import suite_schema
from harness.suite.yaml_file import read_yaml

GOOD = {
    "name": "example",
    "matrix": {
        "model": ["tiny-qwen2", {"name": "mine", "card": {"source": "a/b", "prompt": "chat"}}],
        "quantization": ["none", {"name": "nf4-plain", "config": {"load_in_4bit": True}}],
        "adapter": [
            {"name": "lora-r8", "config": {"r": 8, "target_modules": "all-linear"}},
            {"name": "ia3", "peft_type": "ia3", "config": {"target_modules": ["k_proj"]}},
        ],
        "dataset": ["finance-qa", {"name": "mine", "source": "rows.csv", "train": 0.5}],
        "training": [{"name": "slow", "options": {"learning_rate": 1e-5}}],
        "seed": [0, 1],
    },
    "training": {"learning_rate": 2e-4, "loss_on": "answer"},
    "evaluation": {"batch_size": 8},
    "generation": {"max_new_tokens": 8},
    "include": [{"model": "tiny-qwen2", "training": {"num_train_epochs": 2}}],
    "exclude": [{"seed": 1, "quantization": "none"}],
    "tiny": {"model": "tiny-qwen2", "dataset": {"rows": 20}, "training": {"max_steps": 2}},
    "gate": {"rules": [{"metric": "primary", "test": "paired"}]},
}
MISTAKES = {
    "a misspelt key at the top": (("trainning",), {}),
    "a name with a space": (("name",), "my suite"),
    "an axis that is none": (("matrix", "models"), ["a"]),
    "no model at all": (("matrix", "model"), []),
    "a seed in words": (("matrix", "seed"), ["zero"]),
    "a misspelt training key": (("training", "learning_rat"), 1e-4),
    "a training key that the harness sets": (("training", "output_dir"), "out"),
    "a learning rate in words": (("training", "learning_rate"), "fast"),
    "a loss on something else": (("training", "loss_on"), "everything"),
    "an unknown generation key": (("generation", "max_tokens"), 5),
    "a batch of nothing": (("evaluation", "batch_size"), 0),
    "a misspelt PEFT key": (("matrix", "adapter", 0, "config", "rank"), 8),
    "a key of another PEFT method": (("matrix", "adapter", 1, "config", "lora_alpha"), 8),
    "an unknown PEFT method": (("matrix", "adapter", 1, "peft_type"), "lorra"),
    "an unknown key of bitsandbytes": (("matrix", "quantization", 1, "config", "bits"), 4),
    "an unknown key of a model card": (("matrix", "model", 1, "card", "prompts"), "chat"),
    "an axis in exclude that is none": (("exclude", 0, "lora"), "r8"),
    "an unknown kind of rule": (("gate", "rules", 0, "test"), "fuzzy"),
    "a training key misspelt in include": (("include", 0, "training", "epochs"), 1),
    "a data set's key misspelt in the tiny twin": (("tiny", "dataset", "row"), 3),
}


@pytest.fixture(scope="module")
def checker():
    schema = suite_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_a_right_suite_has_no_complaint(checker):
    assert list(checker.iter_errors(GOOD)) == []


@pytest.mark.parametrize("what", MISTAKES)
def test_an_editor_flags(checker, what):
    path, value = MISTAKES[what]
    suite = copy.deepcopy(GOOD)
    place = suite
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    assert list(checker.iter_errors(suite)) != []


def test_every_shipped_suite_fits(checker, root):
    for path in sorted((root / "suites").rglob("*.yaml")):
        assert [e.message for e in checker.iter_errors(read_yaml(path).value)] == [], path


def test_every_property_has_a_description():
    bare = []

    def walk(schema, path):
        for name, field in schema.get("properties", {}).items():
            if "description" not in field and "allOf" not in field:
                bare.append("/".join([*path, name]))

    schema = suite_schema()
    walk(schema, [])
    for name, definition in schema["$defs"].items():
        walk(definition, [name])
    assert bare == []
