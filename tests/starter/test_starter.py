"""What `harness init` reads in a data file, and that the suite it writes is valid and says why."""

import json

import pytest
import yaml

import harness
from harness.api.starting import Named, Wanted, init
from harness.errors import HarnessError
from harness.starter.data import look


def rows_of(count=60, **columns):
    return [{name: make(k) for name, make in columns.items()} for k in range(count)]


def chat(k):
    return [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": f"What does part {k} of a bicycle do?"},
        {"role": "assistant", "content": f"Part {k} turns the wheel when you push down on it."},
    ]


def asked(k):
    return f"What is thing {k} good for?"


def said(k):
    return f"It is thing {k}, which is good for {k} uses of many kinds."


def mood(k):
    return ("glad", "sad", "calm")[k % 3]


CASES = {
    "chats": (rows_of(messages=chat), {}, "rougeL"),
    "Alpaca": (rows_of(instruction=asked, input=lambda k: "", output=said), {}, "rougeL"),
    "TRL": (rows_of(prompt=asked, completion=said), {}, "rougeL"),
    "question and answer": (
        rows_of(question=asked, answer=said), {"prompt": "question", "reference": "answer"}, "rougeL",
    ),
    "capitals": (
        rows_of(Question=asked, Answer=said), {"prompt": "Question", "reference": "Answer"}, "rougeL",
    ),
    "a passage": (
        rows_of(question=asked, context=lambda k: f"Text {k}.", answer=lambda k: f"part {k}"),
        {"prompt": "question", "reference": "answer", "context": "context"}, "exact_match",
    ),
    "labels": (rows_of(text=asked, label=mood), {"prompt": "text", "reference": "label"}, "accuracy"),
    "rare labels": (
        rows_of(text=asked, label=lambda k: "bad" if k % 10 == 0 else "good"),
        {"prompt": "text", "reference": "label"}, "f1_macro",
    ),
    "labels as output": (rows_of(instruction=asked, output=mood), {}, "accuracy"),
    "stars": (
        rows_of(text=asked, label=lambda k: k % 5), {"prompt": "text", "reference": "label"}, "accuracy",
    ),
    "numbers": (
        rows_of(question=asked, answer=lambda k: f"{k * 7:,}"),
        {"prompt": "question", "reference": "answer", "gold": "answer"}, "numeric_accuracy",
    ),
    "worked answers": (
        rows_of(question=asked, answer=lambda k: f"{k} and {k} is twice {k}.\n#### {2 * k}"),
        {"prompt": "question", "reference": "answer", "gold": "answer"}, "numeric_accuracy",
    ),
    "a column of numbers": (
        rows_of(instruction=asked, output=said, gold=lambda k: f"{k}%"), {"gold": "gold"}, "numeric_accuracy",
    ),
    "codes are no numbers": (
        rows_of(question=asked, answer=lambda k: f"A{k}"),
        {"prompt": "question", "reference": "answer"}, "exact_match",
    ),
    "several accepted answers": (
        rows_of(question=asked, answer=lambda k: [str(k), f"thing {k}"]),
        {"prompt": "question", "reference": "answer"}, "exact_match",
    ),
    "no spaces": (
        rows_of(question=lambda k: f"第{k}个问题是什么", answer=lambda k: f"第{k}个答案是这样写的，很长。"),
        {"prompt": "question", "reference": "answer"}, "chrf",
    ),
}  # fmt: skip


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Writes rows to a file and starts a suite from it in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def started(rows, *, ask=None, **wanted):
        (tmp_path / "mine.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
        made = init(Wanted("mine.jsonl", **wanted), ask=ask)
        return made, yaml.safe_load(made.path.read_text())

    return started


@pytest.mark.parametrize("case", CASES)
def test_columns_and_metric_follow_from_the_data(case, start):
    rows, columns, metric = CASES[case]
    made, suite = start(rows)
    entry = suite["matrix"]["dataset"][0]
    assert entry.get("columns", {}) == columns
    assert entry["primary_metric"] == metric
    assert harness.validate(made.path).cells == made.cells == 7


def test_labels_are_listed_and_numbers_among_them_are_in_order(start):
    _, suite = start(rows_of(120, text=asked, label=lambda k: k % 12))
    assert suite["matrix"]["dataset"][0]["labels"] == [str(k) for k in range(12)]


def test_few_numbers_are_quantities_unless_somebody_says_classes(start):
    rows = rows_of(question=asked, answer=lambda k: k % 4)
    made, suite = start(rows)
    assert suite["matrix"]["dataset"][0]["primary_metric"] == "numeric_accuracy"
    assert '# labels: ["0", "1", "2", "3"]' in made.path.read_text()
    _, suite = start(rows, kind="labels", force=True)
    assert suite["matrix"]["dataset"][0]["labels"] == ["0", "1", "2", "3"]
    _, suite = start(rows, force=True, ask=lambda q: "labels" if "classes" in q.text else q.default)
    assert suite["matrix"]["dataset"][0]["labels"] == ["0", "1", "2", "3"]


def test_the_same_question_twice_stays_on_one_side_and_is_counted(start):
    made, suite = start(rows_of(question=lambda k: asked(k // 2), answer=said))
    assert suite["matrix"]["dataset"][0]["group_by"] == "prompt"
    assert "60 of 60 rows share their question" in made.path.read_text().replace("\n      # ", " ")


def test_russian_is_seen(start):
    rows = rows_of(
        question=lambda k: f"Что такое вещь {k}?", answer=lambda k: f"Это вещь {k},5 раз."
    )
    _, suite = start(rows)
    assert suite["matrix"]["dataset"][0]["language"] == "ru"


def test_rows_too_long_for_the_tiny_model_are_left_to_a_model_of_yours(start, tmp_path):
    def long(k):
        return "many words " * 400 if k % 2 else said(k)

    made, suite = start(rows_of(question=asked, answer=long))
    assert made.sample.name == suite["matrix"]["dataset"][0]["source"] == "mine.sample.jsonl"
    assert len(made.sample.read_text().splitlines()) == 30
    made, suite = start(
        rows_of(question=asked, answer=long), model="smollm2-135m-instruct", force=True
    )
    assert suite["matrix"]["dataset"][0]["source"] == "mine.jsonl"
    assert suite["tiny"]["dataset"]["source"] == "mine.sample.jsonl"
    with pytest.raises(HarnessError, match="too few of 60 rows are short enough"):
        start(rows_of(question=asked, answer=lambda k: f"{k} word " * 400), force=True)


def test_a_model_of_yours_gets_a_tiny_twin(start):
    made, suite = start(rows_of(messages=chat), model="HuggingFaceTB/SmolLM2-135M-Instruct")
    assert suite["matrix"]["model"] == ["HuggingFaceTB/SmolLM2-135M-Instruct"]
    assert suite["matrix"]["quantization"] == ["none", "nf4"]
    assert made.has_twin
    assert {d.cell.model.name for d in harness.plan(made.path, tiny=True).decisions} == {
        "tiny-qwen2"
    }


@pytest.mark.parametrize(
    ("files", "rows", "style"),
    [
        ({}, rows_of(question=asked, answer=said), "question-answer"),
        ({}, rows_of(instruction=lambda k: f"Do thing {k}.", output=said), "alpaca"),
        ({}, rows_of(prompt=lambda k: f"Thing {k}", completion=said), "plain"),
        ({"chat_template.jinja": "{{ messages }}"}, rows_of(question=asked, answer=said), None),
    ],
)
def test_a_folder_s_prompts_are_those_of_its_tokenizer(files, rows, style, start, tmp_path):
    folder = tmp_path / "My Model"
    folder.mkdir()
    for name, text in {
        "config.json": '{"model_type": "llama"}',
        "tokenizer_config.json": "{}",
        **files,
    }.items():
        (folder / name).write_text(text)
    _, suite = start(rows, model="My Model")
    (model,) = suite["matrix"]["model"]
    assert model["name"] == "my-model"
    assert model["card"] == {"source": "./My Model", **({"prompt": style} if style else {})}


def test_an_encoder_reads_labels_by_a_head(start):
    _, suite = start(rows_of(text=asked, label=mood), model="minilm-l6")
    assert suite["matrix"]["dataset"][0]["classify_by"] == "head"
    assert "tiny" not in suite


REFUSED = {
    "which columns": (rows_of(title=asked, body=said), {}, "Which column|which column"),
    "two ways": (rows_of(question=asked, answer=said, text=asked, label=mood), {}, "can be read in 2 ways"),
    "one answer": (rows_of(question=asked, answer=lambda k: "yes"), {}, "every row has the answer"),
    "twins": (
        rows_of(text=asked, label=lambda k: ("good", "Good", "bad")[k % 3]), {}, "differ by case",
    ),
    "no numbers": (rows_of(question=asked, answer=said), {"kind": "numbers"}, "not one number"),
    "no model": (rows_of(question=asked, answer=said), {"model": "nobody"}, "unknown model"),
    "no column": (
        rows_of(question=asked, answer=said), {"named": Named("query", "answer")}, 'no column "query"',
    ),
    "no column, before which is the answer": (
        rows_of(title=asked, body=said), {"named": Named("query")}, 'no column "query"',
    ),
    "no folder": (
        rows_of(question=asked, answer=said), {"output": "absent/suite.yaml"}, "no such folder",
    ),
    "a name": (rows_of(question=asked, answer=said), {"output": "suite.txt"}, "ends in .yaml"),
    "several numbers": (
        rows_of(question=asked, answer=lambda k: [str(k), f"{k}.0"]), {"kind": "numbers"},
        "a row accepts several answers",
    ),
    "several labels": (
        rows_of(text=asked, labels=lambda k: [mood(k), mood(k + 1)]), {}, "A row has one label",
    ),
    "an encoder that shall write": (
        rows_of(question=asked, answer=said), {"model": "minilm-l6"}, "is an encoder and writes no",
    ),
    "no answers": (rows_of(question=asked, answer=lambda k: ""), {}, "no row has both"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_told_is_refused_and_nothing_is_written(case, start, tmp_path):
    rows, wanted, message = REFUSED[case]
    with pytest.raises(HarnessError, match=message):
        start(rows, **wanted)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.jsonl"]


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        ("вопрос,ответ\nда,нет\n".encode("cp1251"), "--encoding cp1251"),
        (bytes(range(256)), "--encoding NAME"),
        ("a,b\n".encode("utf-16-le"), "--encoding utf-16-le"),
    ],
)
def test_an_encoding_is_asked_for_by_the_option(content, hint, tmp_path):
    (tmp_path / "mine.csv").write_bytes(content)
    with pytest.raises(HarnessError) as caught:
        look(str(tmp_path / "mine.csv"), "mine", named=Named(), ask=None)
    assert hint in caught.value.hint
    assert "entry" not in caught.value.hint


def test_an_existing_suite_is_kept_without_force(start, tmp_path):
    (tmp_path / "mine.yaml").write_text("mine\n")
    with pytest.raises(HarnessError, match="exists and is kept"):
        start(rows_of(question=asked, answer=said))
    assert (tmp_path / "mine.yaml").read_text() == "mine\n"


def test_a_person_is_asked_what_the_columns_are(start):
    answers = {"--prompt": "title", "--reference": "body", "--model": "tiny-qwen2"}
    _, suite = start(rows_of(title=asked, body=said), ask=lambda q: answers[q.flag])
    assert suite["matrix"]["dataset"][0]["columns"] == {"prompt": "title", "reference": "body"}


def test_a_test_file_is_taken_as_it_is(start, tmp_path):
    lines = (json.dumps({"question": f"Is {k} even?", "answer": said(k)}) for k in range(20))
    (tmp_path / "test.jsonl").write_text("\n".join(lines))
    _, suite = start(
        rows_of(question=asked, answer=said), test="test.jsonl", model="smollm2-135m-instruct"
    )
    entry = suite["matrix"]["dataset"][0]
    assert entry["test_source"] == "test.jsonl"
    assert "test" not in entry


@pytest.mark.parametrize(
    "name", ["2024.jsonl", "true.jsonl", "1e5.jsonl", "Ярлык.jsonl", "finance-qa.jsonl"]
)
def test_any_name_of_a_file_makes_a_suite(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = rows_of(question=asked, answer=said)
    (tmp_path / name).write_text("\n".join(map(json.dumps, rows)))
    made = init(Wanted(name))
    assert harness.validate(made.path).cells == 7


def test_two_suites_of_one_file_have_a_run_each(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = rows_of(question=asked, answer=said)
    (tmp_path / "support.jsonl").write_text("\n".join(map(json.dumps, rows)))
    made = init(Wanted("support.jsonl", output="Small model.yaml"))
    suite = yaml.safe_load(made.path.read_text())
    assert suite["name"] == "small-model"
    assert suite["matrix"]["dataset"][0]["name"] == "support"


def test_a_label_that_looks_like_yaml_does_no_harm(start):
    labels = ("a: b", "# not a comment", "on", "{x}")
    _, suite = start(rows_of(80, text=asked, label=lambda k: labels[k % 4]))
    assert set(suite["matrix"]["dataset"][0]["labels"]) == set(labels)


def test_a_built_in_set_says_itself_how_it_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = init(Wanted("finance-labels"))
    assert harness.validate(made.path).cells == 7
    looked = look("finance-labels", "x", named=Named(), ask=None)
    assert looked.is_built_in


@pytest.mark.slow
def test_the_suite_runs(start):
    made, _ = start(rows_of(messages=chat))
    run = harness.run(made.path, select="adapter=base|lora-r8,seed=0")
    assert [cell.status for cell in run.cells if cell.adapter != "lora-r32"][:2] == ["ok", "ok"]


@pytest.mark.parametrize(
    ("units", "said_of_them"), [(("kg",), False), (("kg", "g"), True), (("", "%"), False)]
)
def test_units_that_are_not_compared_are_named(units, said_of_them, start):
    made, suite = start(
        rows_of(question=asked, answer=lambda k: f"{k} {units[k % len(units)]}".strip())
    )
    assert suite["matrix"]["dataset"][0]["primary_metric"] == "numeric_accuracy"
    assert any("(kg, g) is not compared" in line for line in made.found) == said_of_them
    assert ("(kg, g) is not compared" in " ".join(made.path.read_text().split())) == said_of_them


def test_columns_that_no_prompt_shows_are_named(start):
    made, _ = start(rows_of(question=asked, answer=said, choices=lambda k: ["a", "b"]))
    assert "not read, and in no prompt: `choices`" in made.found
    made, _ = start(rows_of(question=asked, answer=said), force=True)
    assert not any("not read" in line for line in made.found)


def test_a_gguf_file_gets_no_other_quantization(start, tmp_path):
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "small.gguf").write_text("GGUF")
    _, suite = start(rows_of(question=asked, answer=said), model="packed")
    assert suite["matrix"]["model"][0]["card"] == {"source": "./packed/small.gguf"}
    assert suite["matrix"]["quantization"] == ["none"]
    (tmp_path / "packed" / "large.gguf").write_text("GGUF")
    with pytest.raises(HarnessError, match="holds 2 GGUF files"):
        start(rows_of(question=asked, answer=said), model="packed", force=True)
