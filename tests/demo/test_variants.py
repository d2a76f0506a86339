"""Which variants a page begins with and what they are called; and what ends the command."""

import shutil
import socket
import sys
from dataclasses import replace

import pytest
from click.testing import CliRunner

import harness
from harness.cli import main
from harness.demo.models import Answer, Pair
from harness.demo.questions import questions_of
from harness.demo.session import BUTTONS, Round, facts, shuffled
from harness.demo.variants import askable, chosen_cell, default_pair, names
from harness.errors import HarnessError
from harness.results.run import load_run

SUITE = """\
name: small
matrix:
  model: [tiny-qwen2]
  quantization: [none, int8]
  adapter: [{name: a, config: {r: 4}}, {name: b, config: {r: 8}}]
  dataset: [{name: ru-calculations, train: 40, test: 20}]
  seed: [0, 1]
"""


@pytest.fixture(scope="module")
def scored(tmp_path_factory, root):
    """A run of the backend without torch."""
    place = tmp_path_factory.mktemp("variants")
    (place / "models").symlink_to(root / "models")
    (place / "suite.yaml").write_text(SUITE)
    plan = harness.plan(
        place / "suite.yaml", output=place / "run", executor="in_process", backend="testing"
    )
    harness.run(plan)
    return load_run(place / "run")


def test_a_page_begins_with_a_baseline_and_what_the_report_names(scored):
    first, second = default_pair(scored, askable(scored))
    assert (first.adapter, first.quantization) == ("base", second.quantization)
    assert second.adapter in ("a", "b")


def test_names_are_short_and_of_one_variant_each(scored):
    found = names(askable(scored))
    assert len(set(found.values())) == len(found) == len(scored.cells)
    assert "none · base" in found.values()
    assert "int8 · b · seed 1" in found.values()


def test_a_cell_is_named_by_its_beginning(scored):
    cells = scored.cells
    assert chosen_cell(scored, cells[2].key[:-3]) is cells[2]
    with pytest.raises(HarnessError, match="matches"):
        chosen_cell(scored, "tiny-qwen2")
    with pytest.raises(HarnessError, match="no cell"):
        chosen_cell(scored, "other")
    failed = replace(cells[2], status="failed", reason="no room")
    with pytest.raises(HarnessError, match="cannot be asked: no room"):
        chosen_cell(replace(scored, cells=(failed,)), failed.key)


def test_a_run_with_a_single_answer_is_refused(scored):
    with pytest.raises(HarnessError, match="two variants are needed"):
        askable(replace(scored, cells=scored.cells[:1]))


def test_questions_of_changed_data_are_not_offered(scored):
    found = questions_of(scored, scored.cells[:2])
    assert len(found.examples) == 20
    assert len({text for text, _ in found.choices()}) == 20
    other = replace(scored.cells[1], dataset="another")
    assert "different data sets" in questions_of(scored, [scored.cells[0], other]).missing


@pytest.mark.parametrize("left", ["first", "second"])
@pytest.mark.parametrize("button", BUTTONS)
def test_a_vote_is_on_the_variant_whatever_side_it_stood_on(scored, left, button):
    answers = Pair(Answer("one", 1, "stop"), Answer("two", 1, "stop"))
    now = Round("q", None, *scored.cells[:2], True, left, answers)
    texts = [answer.text for answer in now.sides()]
    assert texts == (["one", "two"] if left == "first" else ["two", "one"])
    wanted = {"A is better": texts[0], "B is better": texts[1]}.get(button)
    vote = now.vote(button)
    chosen = {"first": vote.first_answer, "second": vote.second_answer}.get(vote.choice)
    assert chosen == wanted
    assert vote.choice in {"Tie": ["tie"], "Both are bad": ["both bad"]}.get(
        button, [left, vote.choice]
    )


def test_sides_are_shuffled_in_blind_rounds_alone():
    assert {shuffled(blind=True) for _ in range(64)} == {"first", "second"}
    assert {shuffled(blind=False) for _ in range(64)} == {"first"}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer("x", 1, "stop", 0.5, 0.5), "1 token · first after 0.5 s"),
        (Answer("x", 11, "stop", 0.5, 1.0), "11 tokens · 20 tokens/s · first after 0.5 s"),
        (Answer("x", 0, "stop", 0.25, 0.25), "0 tokens · first after 0.25 s"),
        (Answer("x", 5, None, 0.1, 1.0), ""),
    ],
)
def test_counts_and_speed(answer, said):
    assert facts(answer, blind=False) == said
    assert facts(answer, blind=True) == ""


def demo(*words):
    return CliRunner().invoke(main, ["demo", "--no-browser", *map(str, words)])


def test_a_deleted_adapter_is_named_before_anything_is_loaded(scored, tmp_path):
    shutil.copytree(scored.directory, tmp_path / "run")
    for path in tmp_path.glob("run/cells/*/adapter"):
        shutil.rmtree(path)
    result = demo(tmp_path / "run")
    assert result.exit_code == 2
    assert "the adapter is not there" in result.output
    assert "loading" not in result.output
    assert "run the suite again" in result.output


def test_another_adapter_is_refused(scored, tmp_path):
    shutil.copytree(scored.directory, tmp_path / "run")
    for path in tmp_path.glob("run/cells/*/adapter/adapter.json"):
        path.write_text(path.read_text().replace("0.75", "0.50"))
    result = demo(tmp_path / "run")
    assert result.exit_code == 2
    assert "is not the adapter that result.json was made with" in result.output
    assert "loading" not in result.output


def test_a_packed_run_is_refused(scored, tmp_path):
    packed = harness.pack(scored, tmp_path / "run.tar.xz")
    result = demo(packed)
    assert result.exit_code == 2
    assert "a packed run has no adapters" in result.output
    assert "loading" not in result.output


def test_a_port_that_is_taken_is_said(scored):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = demo(scored.directory, "--port", taken.getsockname()[1])
    assert result.exit_code == 2
    assert "cannot be used" in result.output
    assert "loading" not in result.output


def test_a_machine_without_gradio_gets_the_extra_named(scored, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    result = demo(scored.directory)
    assert result.exit_code == 2
    assert "pip install 'finetune-harness[demo]'" in result.output
    assert "loading" not in result.output
