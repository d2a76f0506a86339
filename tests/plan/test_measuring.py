"""Speed is measured once a variant, in a cell that the suite decides and `plan` names."""

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.plan.expand import expand
from harness.plan.measuring import settle_measuring
from harness.plan.plan import make_plan
from harness.suite.loading import load_suite

SUITE = """\
name: once
matrix:
  model: [tiny-qwen2]
  quantization: [none]
  adapter: [{name: a, config: {r: 4}}]
  dataset:
    - {name: finance-qa, train: 20, test: 8}
    - {name: ru-calculations, train: 20, test: 8, EXTRA}
    - {name: finance-labels, train: 20, test: 8}
  seed: [0, 1]
evaluation: {latency_prompts: 2, noise_examples: 0OPTION}
"""
QA0, RU0 = ("a", "finance-qa", 0), ("a", "ru-calculations", 0)
BASES = [("base", "finance-qa", None), ("base", "finance-labels", None)]


@pytest.fixture
def once(write_suite):
    """Writes the suite; `extra` goes to the second data set, `option` to `evaluation`."""
    return lambda extra="language: ru", option="", more="": write_suite(
        SUITE.replace("EXTRA", extra).replace("OPTION", option) + more
    )


def measuring(plan):
    return [
        (d.cell.adapter, d.cell.dataset.name, d.cell.seed)
        for d in plan.decisions
        if d.cell.is_measured
    ]


CASES = {
    "one a variant and kind of task": ({}, [BASES[0], QA0, BASES[1], ("a", "finance-labels", 0)]),
    "other prompts or tokens are other work": (
        {"extra": "evaluation: {latency_prompts: 3}"},
        [BASES[0], QA0, ("base", "ru-calculations", None), RU0, BASES[1], ("a", "finance-labels", 0)],
    ),
    "one data set asks for its own": (
        {"extra": "evaluation: {latency_per: cell}"},
        [BASES[0], QA0, ("base", "ru-calculations", None), RU0, ("a", "ru-calculations", 1),
         BASES[1], ("a", "finance-labels", 0)],
    ),
    "a cell that is excluded leaves it to the next": (
        {"more": "exclude: [{dataset: finance-qa, adapter: a, seed: 0}]"},
        [BASES[0], ("a", "finance-qa", 1), BASES[1], ("a", "finance-labels", 0)],
    ),
    "nothing is timed": ({"extra": "language: ru", "option": ", latency_prompts: 0"}, []),
}  # fmt: skip


@pytest.mark.parametrize(("given", "expected"), CASES.values(), ids=CASES)
def test_the_first_cell_of_a_variant_measures(once, tmp_path, given, expected):
    if "option" in given:
        given = {**given}
        path = once(**{k: v for k, v in given.items() if k != "option"})
        path.write_text(path.read_text().replace("latency_prompts: 2", "latency_prompts: 0"))
    else:
        path = once(**given)
    assert measuring(make_plan(path, tmp_path / "o")) == expected


def test_every_cell_measures_where_the_suite_asks_for_it(once, tmp_path):
    plan = make_plan(once(option=", latency_per: cell"), tmp_path / "o")
    assert len(measuring(plan)) == len(plan.decisions) == 9
    assert not any(decision.measured_in for decision in plan.decisions)


def test_a_cell_that_cannot_run_leaves_it_to_the_next(once):
    path = once()
    cells = expand(load_suite(path), path)

    def chosen(can_run):
        settled = settle_measuring(cells, wanted=lambda _: True, can_run=can_run)
        return [
            (m.cell.dataset.name, m.cell.seed)
            for m in settled
            if m.elsewhere is None and m.cell.adapter == "a"
        ]

    labels = ("finance-labels", 0)
    assert chosen(lambda cell: cell.seed != 0) == [("finance-qa", 1), ("finance-labels", 1)]
    assert chosen(lambda cell: cell.dataset.name != "finance-qa") == [
        ("ru-calculations", 0),
        labels,
    ]
    # where nothing runs the choice is that of a machine where all does, and so are the fingerprints
    assert chosen(lambda _: False) == chosen(lambda _: True) == [("finance-qa", 0), labels]


def test_a_selection_changes_neither_the_choice_nor_the_fingerprints(once, tmp_path):
    path, out = once(), tmp_path / "o"
    whole = {d.key: d.measured_in for d in make_plan(path, out).decisions}
    selected = make_plan(path, out, select="dataset=ru-calculations").decisions
    assert {d.key: d.measured_in for d in selected}.items() <= whole.items()
    assert measuring(make_plan(path, out, select="dataset=ru-calculations")) == []


def test_the_plan_says_where_latency_is_measured(once, tmp_path):
    def printed(*options):
        arguments = ["plan", str(once()), "-o", str(tmp_path / "o"), *options]
        return CliRunner().invoke(main, arguments, catch_exceptions=False).output

    text = "latency of ru-calculations: as measured on finance-qa"
    assert f"{text}\n" in printed()
    lines = [line for line in printed("--keys").splitlines() if "--ru-calculations-" in line]
    assert [line.partition("  (")[2] for line in lines] == [
        "latency: finance-qa)", *["latency: finance-qa, seed 0)"] * 2
    ]  # fmt: skip
    alone = printed("--select", "dataset=ru-calculations")
    assert f"{text}, which is not selected: none is shown" in alone
