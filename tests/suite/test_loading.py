import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HarnessError
from harness.plan.cell import cell_of_record, cell_record, fingerprint
from harness.plan.expand import expand
from harness.suite.loading import load_suite


def load(write_suite, text):
    path = write_suite(text)
    return expand(load_suite(path), path)


def plan(write_suite, text):
    from harness.plan.machine import Site, machine
    from harness.plan.preflight import preflight
    from harness.results.paths import RunPaths

    cells = load(write_suite, text)
    return preflight(cells, Site((machine(),)), RunPaths(write_suite(text).parent))


BASE = """\
name: x
matrix:
  model: [tiny-qwen2]
  quantization: [none, nf4]
  adapter: [{name: a, config: {r: 4}}, {name: b, config: {r: 8}}]
  dataset: [ru-calculations]
  seed: [0, 1]
training: {learning_rate: 2e-4}
"""


def test_baseline_runs_once_per_quantization(write_suite):
    cells = load(write_suite, BASE)
    assert len([c for c in cells if c.is_baseline]) == 2
    assert len(cells) == 2 * (1 + 2 * 2)


def test_scientific_notation_is_a_number(write_suite):
    cells = load(write_suite, BASE)
    assert cells[1].training["learning_rate"] == pytest.approx(2e-4)


def test_exclude_drops_matching_cells(write_suite):
    cells = load(write_suite, BASE + "exclude: [{adapter: b, quantization: nf4}]\n")
    assert not [c for c in cells if c.adapter == "b" and c.quantization == "nf4"]


def test_include_extends_what_it_matches(write_suite):
    cells = load(write_suite, BASE + "include: [{adapter: b, training: {max_steps: 3}}]\n")
    assert {c.training.get("max_steps") for c in cells if c.adapter == "b"} == {3}
    assert {c.training.get("max_steps") for c in cells if c.adapter == "a"} == {None}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("learning_rate", "learning_rat", 'Did you mean "learning_rate"?'),
        ("config: {r: 4}", "config: {rr: 4}", 'unknown key "rr"'),
        ("[tiny-qwen2]", "[tiny-qwen]", 'Did you mean "tiny-qwen2"?'),
        ("[none, nf4]", "[none, nf5]", 'Did you mean "nf4"?'),
        ("[none, nf4]", "[]", "empty"),
        ("[ru-calculations]", "[ru-calculation]", 'Did you mean "ru-calculations"?'),
        ("seed: [0, 1]", "seeds: [0, 1]", 'Did you mean "seed"?'),
        ("name: x\n", "name: x\nname: y\n", "duplicate key"),
        ("name: x\n", "name: x\n\tseed: 1\n", "a tab begins a key or a value"),
        ("seed: [0, 1]", "seed: [1, 0, 1]", "matrix.seed: listed more than once: 1"),
        ("[none, nf4]", "[none, nf4, nf4]", "matrix.quantization: listed more than once: nf4"),
        ("[ru-calculations]", "[]", "matrix.dataset: an empty list: give at least one"),
        ("{learning_rate: 2e-4}", "{output_dir: x}", "the harness sets this key itself"),
        ("name: x", "name: [", "not valid YAML"),
        ("name: x", "name: 2020-13-45", '.yaml:1: not valid YAML: "2020-13-45" cannot be read as'),
        ("name: x", f"name: x\ntiny: {'9' * 5000}", ".yaml:2: not valid YAML"),
        ("name: x", "name: x\ntiny: small", ".yaml:2: tiny: expected keys and values"),
        ("learning_rate: 2e-4", "learning_rate: fast", "expected a number, got 'fast'"),
        ("learning_rate: 2e-4", "max_steps: 1.5", "expected a whole number, got 1.5"),
        ("learning_rate: 2e-4", "lr_scheduler_type: cosin", 'Did you mean "cosine"?'),
        ("learning_rate: 2e-4", "optim: adamw_torchh", 'Did you mean "adamw_torch"?'),
        ("learning_rate: 2e-4", "bf16: true, fp16: true", "bf16 and fp16 exclude each other"),
        ("learning_rate: 2e-4", "loss_on: nothing", "must be `answer`, `all` or `prompt`"),
        ("learning_rate: 2e-4", "learning_rate: 0", "must be above 0"),
        ("learning_rate: 2e-4", "num_train_epochs: -2", "must be above 0, or nothing is trained"),
        ("learning_rate: 2e-4", "max_steps: 0", "leave it out to count epochs"),
        ("learning_rate: 2e-4", "max_length: 0", "must be above 0"),
        ("learning_rate: 2e-4", "gradient_accumulation_steps: 0", "must be above 0"),
        ("[none, nf4]", "none", "quantization: expected a list"),
        ("name: x", "name: My Suite", "use small letters, digits and hyphens only"),
        ("config: {r: 4}", "config: {r: many}", "expected a whole number, got 'many'"),
        ("config: {r: 4}", "config: {r: 0}", "must be above 0"),
        ("config: {r: 4}", "config: {bias: some}", "not one of its values"),
        (
            "[none, nf4]",
            "[none, {name: q, config: {load_in_4bit: true, load_in_8bit: true}}]",
            "exclude each other",
        ),
        (
            "[none, nf4]",
            "[none, {name: q, config: {load_in_8bit: true, bnb_4bit_quant_type: nf4}}]",
            "no effect without `load_in_4bit: true`",
        ),
        ("name: x", "name: x\ngeneration: {temperature: 0.7}", "without `do_sample: true`"),
        ("name: x", "name: x\ngeneration: {max_new_token: 7}", 'Did you mean "max_new_tokens"?'),
        ("name: x", "name: x\nexclude: [{adapter: c}]", '"c" is not on the axis'),
        ("name: x", "name: x\nevaluation: {batch_size: 0}", "evaluation.batch_size"),
        (
            "name: x",
            "name: x\ngate: {rules: [{metric: primary}, {metric: rougL}]}",
            '.yaml:2: gate.rules.1.metric: there is no metric "rougL". Did you mean "rougeL"?',
        ),
    ],
)
def test_a_mistake_is_named_with_the_way_out(write_suite, old, new, message):
    assert old in BASE
    with pytest.raises(HarnessError) as caught:
        plan(write_suite, BASE.replace(old, new, 1))
    assert message in str(caught.value)


def test_an_error_carries_file_and_line(write_suite):
    with pytest.raises(HarnessError) as caught:
        load(write_suite, BASE.replace("learning_rate", "learning_rat"))
    assert "suite.yaml:8: training.learning_rat" in str(caught.value)


def test_every_problem_of_a_file_is_reported_at_once(write_suite):
    text = BASE.replace("learning_rate", "learning_rat").replace("r: 8", "rr: 8")
    with pytest.raises(HarnessError) as caught:
        load(write_suite, text)
    assert "suite.yaml:8: training.learning_rat" in str(caught.value)
    assert "suite.yaml:5: matrix.adapter.1.config.rr" in str(caught.value)


@pytest.mark.parametrize("key", ["]", "str", "ModelEntry", "function-x"])
def test_a_key_that_looks_like_a_type_s_name_is_refused_by_name(write_suite, key):
    with pytest.raises(HarnessError, match="unknown key") as caught:
        load(write_suite, f"{BASE}'{key}': 1\n")
    assert f'"{key}"' in str(caught.value)


def test_a_cell_survives_its_record(write_suite):
    for cell in load(write_suite, BASE):
        assert cell_of_record(cell_record(cell)) == cell


def test_fingerprint_ignores_training_of_a_baseline_only(write_suite):
    before = load(write_suite, BASE)
    after = load(write_suite, BASE.replace("2e-4", "3e-4"))
    same = [
        fingerprint(a, content={}) == fingerprint(b, content={})
        for a, b in zip(before, after, strict=True)
    ]
    assert same == [cell.is_baseline for cell in before]


def test_fingerprint_does_not_depend_on_where_a_local_model_lies(write_suite):
    from dataclasses import replace

    cell = load(write_suite, BASE)[0]
    moved = replace(cell, model=cell.model.model_copy(update={"source": "/elsewhere/tiny-qwen2"}))
    assert fingerprint(cell, content={}) == fingerprint(moved, content={})


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.integers(), max_size=4))
def test_any_mapping_loads_or_is_refused(options):
    import tempfile
    from pathlib import Path

    import yaml

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.yaml"
        path.write_text(yaml.safe_dump({"name": "x", **options}, allow_unicode=True))
        with pytest.raises(HarnessError):
            load_suite(path)


def test_a_sweep_crosses_every_adapter_and_comes_last(write_suite):
    from harness.plan.expand import expand
    from harness.suite.loading import load_suite

    path = write_suite()
    text = path.read_text().replace(
        "  dataset:",
        "  training:\n    - {name: low, options: {learning_rate: 1e-5}}\n"
        "    - {name: high, options: {learning_rate: 1e-3}}\n  dataset:",
    )
    path.write_text(text)
    base, *cells = expand(load_suite(path), path)
    assert base.adapter == "base"
    assert [(c.adapter, c.training["learning_rate"]) for c in cells] == [
        ("lora-r4+low", 1e-5), ("lora-r4+high", 1e-3),
    ]  # fmt: skip
    path.write_text(text.replace("{learning_rate: 1e-5}", "{learning_rte: 1e-5}"))
    with pytest.raises(HarnessError, match=r"matrix\.training\.0\.options\.learning_rte"):
        load_suite(path)


ODD = {
    "a date": ("name: 2024-01-01\n", "expected a text (got the date 2024-01-01: quote it)"),
    "null": ("name: t\nmatrix: null\n", "expected keys and values (got null)"),
}


@pytest.mark.parametrize(("text", "words"), ODD.values(), ids=ODD)
def test_what_yaml_read_is_said_in_yaml_s_own_words(tmp_path, text, words):
    path = tmp_path / "suite.yaml"
    path.write_text(text)
    with pytest.raises(HarnessError) as found:
        load_suite(path)
    assert words in str(found.value)


def test_a_suite_in_another_encoding_is_said_to_be(tmp_path):
    path = tmp_path / "suite.yaml"
    path.write_bytes("name: имя\n".encode("cp1251"))
    with pytest.raises(HarnessError, match=r"not UTF-8: byte 6(.|\n)*Save the file as UTF-8"):
        load_suite(path)
