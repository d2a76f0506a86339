import pytest

from harness.suite.contradictions import CONTRADICTIONS, contradictions
from harness.suite.engine_keys import is_checkpointed
from harness.suite.options import kind_problem, training_keys


@pytest.mark.parametrize(
    ("value", "kinds"),
    [
        (1, "int"), (1, "float"), (0.5, "float"), (True, "bool"), ("x", "str"), (None, "int|none"),
        ([1], "list|str"), ({"a": 1}, "dict"), ("cosine", "=cosine|=linear"), (object(), "any"),
        (True, "=all|bool"),
    ],
)  # fmt: skip
def test_a_value_of_a_kind_is_no_problem(value, kinds):
    assert kind_problem(value, kinds) is None


@pytest.mark.parametrize(
    ("value", "kinds", "said"),
    [
        (True, "int", "a whole number"),
        (True, "float", "a number"),
        ("1", "int|none", "a whole number or null"),
        (1.5, "int", "a whole number"),
        ("cosin", "=cosine|=linear", 'Did you mean "cosine"?'),
        (3, "=cosine|=linear", "cosine or linear"),
    ],
)
def test_a_value_of_another_kind_is_told_what_is_expected(value, kinds, said):
    assert said in kind_problem(value, kinds)


def test_sampling_keys_are_fine_with_sampling():
    assert list(contradictions("generation", {"do_sample": True, "temperature": 0.7})) == []
    assert [k for k, _ in contradictions("generation", {"temperature": 0.7})] == ["temperature"]


RULES = [(kind, key) for kind, rules in CONTRADICTIONS.items() for key in rules]
ODD = [None, True, "", "x", [], ["a"], {}, {"a": {}}, [{}], 0, -1, 2**70, float("nan")]


@pytest.mark.parametrize(("kind", "key"), RULES)
def test_a_value_of_any_kind_is_looked_at(kind, key):
    """A suite may hold anything; what has another kind is refused for that, not here."""
    for value in ODD:
        for beside in (
            {},
            {"save_strategy": "steps"},
            *({name: value} for name in training_keys()),
        ):
            list(contradictions(kind, {**beside, key: value}))


def test_the_loss_types_are_those_that_the_trainer_takes():
    import inspect
    import re

    from trl import SFTConfig, SFTTrainer

    source = inspect.getsource(SFTTrainer) + inspect.getsource(SFTConfig)
    taken = set(re.findall(r"loss_type (?:==|not in|in) (\(.*?\)|\".*?\")", source))
    names = {name for group in taken for name in re.findall(r"\"(\w+)\"", group)}
    assert {f"={name}" for name in names} == set(training_keys()["loss_type"].split("|"))


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"save_strategy": "steps", "save_steps": 50, "save_total_limit": 2}, []),
        ({"save_strategy": "steps", "save_steps": 0.25}, []),
        ({"save_strategy": "epoch"}, []),
        ({"save_strategy": "no", "save_total_limit": None}, []),
        ({"save_steps": 50}, ["save_steps"]),
        ({"save_strategy": "epoch", "save_steps": 50}, ["save_steps"]),
        ({"save_strategy": "steps", "save_steps": 0}, ["save_steps"]),
        ({"save_strategy": "best"}, ["save_strategy"]),
        ({"save_strategy": "epoch", "save_total_limit": 0}, ["save_total_limit"]),
        ({"save_strategy": "epoch", "save_only_model": True}, ["save_only_model"]),
        ({"save_strategy": "epoch", "ignore_data_skip": True}, ["ignore_data_skip"]),
    ],
)
def test_checkpoints_that_a_training_could_not_go_on_from_are_refused(options, wrong):
    assert [key for key, _ in contradictions("training", options)] == wrong


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [(None, None, False), (True, None, True), (None, True, True), (True, False, False)],
)
def test_checkpointing_of_activations_has_two_names_of_which_the_newer_counts(old, new, expected):
    keys = {"gradient_checkpointing": old, "activation_checkpointing": new}
    assert is_checkpointed(keys) is expected
    assert (
        is_checkpointed({key: value for key, value in keys.items() if value is not None})
        is expected
    )


@pytest.mark.parametrize(
    ("key", "harmless", "wrong"),
    [
        ("truncation_mode", "keep_start", "keep_end"),
        ("dataset_kwargs", None, {"skip_prepare_dataset": True}),
        ("chat_template_path", None, "some/model"),
        ("eos_token", None, "<end>"),
        ("pad_token", None, "<pad>"),
        ("model_init_kwargs", None, {"dtype": "float16"}),
        ("trust_remote_code", False, True),
    ],
)
def test_keys_that_would_be_ignored_are_refused(key, harmless, wrong):
    assert not list(contradictions("training", {key: harmless}))
    assert [name for name, _ in contradictions("training", {key: wrong})] == [key]
