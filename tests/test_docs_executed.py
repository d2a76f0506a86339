"""The commands of README, tutorial and importing, in order, as a reader types them.

The suites are those of the pages with one seed and four steps: CI has little time.
"""

import random

import pytest
import yaml
from click.testing import CliRunner
from documents import ROOT, blocks, commands_of

from harness.cli import main

pytestmark = pytest.mark.slow

TEAMS = ("billing", "delivery", "other")
ABOUT = {"billing": "invoice", "delivery": "parcel", "other": "password"}
WORDS = [
    "please",
    "help",
    "since",
    "monday",
    "nobody",
    "answered",
    "twice",
    "wrong",
    "number",
    "still",
    "waiting",
    "very",
    "sorry",
    "new",
    "old",
    "account",
    "customer",
    "urgent",
    "again",
    "yesterday",
    "maybe",
    "office",
    "friend",
    "kitchen",
    "green",
    "broken",
    "paper",
    "want",
]


def typed(page):
    """(words) of each command in the shell blocks of ``page``, in order."""
    for block in blocks(ROOT / page, "sh"):
        for command in commands_of(block):
            yield list(command.words)


def executed(page, *, only=lambda words: True):
    """Command → what it printed; each must end with 0."""
    said = {}
    for words in filter(only, typed(page)):
        done = CliRunner().invoke(main, words, catch_exceptions=False)
        assert done.exit_code == 0, (words, done.output)
        said[" ".join(words[:2])] = done.output
    return said


def suite_of(page, **matrix):
    """The page's first whole suite, with the axes ``matrix`` instead of its own."""
    block = next(b for b in blocks(ROOT / page, "yaml") if b.text.startswith("name: tickets"))
    suite = yaml.safe_load(block.text)
    suite["matrix"] |= matrix
    suite["evaluation"] = {"latency_prompts": 2, "latency_new_tokens": 4, "noise_examples": 0}
    del suite["training"]["num_train_epochs"]
    suite["training"]["max_steps"] = 4
    return yaml.safe_dump(suite, sort_keys=False)


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """An empty folder of somebody who has the shipped models."""
    (tmp_path / "models").symlink_to(ROOT / "models")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ticket_rows(count):
    """Different texts, each with the word that tells its team."""
    words = random.Random(0)
    rows = [f"{' '.join(words.sample(WORDS, 7))} {ABOUT[team]},{team}" for team in TEAMS * count]
    return "\n".join(["text,team", *rows[:count]])


def test_the_tutorial_shows_what_init_says(reader):
    (reader / "tickets.csv").write_text(ticket_rows(240))
    block = next(b for b in blocks(ROOT / "docs/tutorial.md", "console") if "init" in b.text)
    (command,) = commands_of(block)
    done = CliRunner().invoke(main, list(command.words), catch_exceptions=False)
    assert done.output.splitlines() == block.text.splitlines()[1:]


def test_the_tutorial_leads_to_a_gate_that_passes(reader):
    (reader / "tickets.csv").write_text(ticket_rows(60))
    text = suite_of("docs/tutorial.md", seed=[0], quantization=["none"])
    (reader / "tickets.yaml").write_text(text)
    said = executed("docs/tutorial.md", only=lambda words: words[0] != "doctor")
    assert "ok, 3 cells" in said["validate tickets.yaml"]
    assert "2 train, 1 predict" in said["plan tickets.yaml"]
    assert "3 ok" in said["run tickets.yaml"]
    assert "lora-r32 − lora-r8" in said["compare runs/tickets"]
    assert "every paired score is unchanged" in said["check runs/tickets"]
    assert (reader / "runs" / "tickets" / "leaderboard.html").is_file()
    assert (reader / "tickets.baseline.json").is_file()


def test_the_readme_s_commands_work_on_your_data(reader):
    rows = [f"What is {k} plus {k}?,{2 * k}" for k in range(40)]
    (reader / "rows.csv").write_text("\n".join(["question,answer", *rows]))
    (reader / "tickets.yaml").write_text(suite_of("README.md", seed=[0]))
    said = executed("README.md", only=lambda words: "tickets" in " ".join(words))
    assert "ok, 4 cells" in said["validate tickets.yaml"]
    assert "4 ok" in said["run tickets.yaml"]
    assert "nf4 − none" in said["compare runs/tickets"]
    assert "every paired score is unchanged" in said["check runs/tickets"]


def test_answers_of_another_program_are_compared_as_the_page_says(reader):
    block = next(iter(blocks(ROOT / "docs/importing.md", "csv")))
    head = block.text.splitlines()[0]
    rows = [
        ",".join({"qid": str(k), "system": system, "question": f"What is {k} plus 1?",
                  "truth": str(k + 1), "output": str(k + 1 + (system == "base" and k % 3))}
                 .get(column, "") for column in head.split(","))
        for k in range(40)
        for system in ("base", "tuned")
    ]  # fmt: skip
    for name in ("answers.csv", "next-week.csv"):
        (reader / name).write_text("\n".join([head, *rows]))
    said = executed("docs/importing.md", only=lambda words: "mlflow:" not in " ".join(words))
    assert "2 cells imported" in said["import answers.csv"]
    assert "tuned − base" in said["compare runs/mine"]
    assert "every paired score is unchanged" in said["check runs/next-week"]
