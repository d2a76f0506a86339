"""Shards of a suite on several machines, joined: every cell once, from where it ended well."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import harness
from harness.errors import HarnessError
from harness.plan.expand import expand
from harness.plan.machine import Machine, Site
from harness.plan.plan import make_plan
from harness.plan.shard import Shard, in_shard, shard_of
from harness.results.paths import read_json, write_json
from harness.results.run import load_run
from harness.results.shards import join
from harness.run.executors.in_process import InProcessExecutor
from harness.run.runner import run_suite
from harness.suite.loading import load_suite

SUITE = """\
name: parts
matrix:
  model: [tiny-qwen2, tiny-llama]
  adapter: [{name: a, config: {r: 4}}, {name: b, config: {r: 8}}]
  dataset: [{name: ru-calculations, train: 20, test: 8}, {name: finance-labels, train: 20, test: 8}]
  seed: [0]
"""
CARDS = {1: "NVIDIA H100 80GB HBM3", 2: "NVIDIA A100-SXM4-80GB"}


class On(InProcessExecutor):
    """This process, which says that it has another card."""

    def __init__(self, card):
        self.card = card

    def machine(self):
        return Machine("cpu", 8, 64.0, "", self.card, 80.0)

    def site(self):
        return Site((self.machine(),))


@pytest.fixture
def shards(write_suite, tmp_path):
    """Runs the parts of a suite; the folders."""

    def made(count=2, text=SUITE, only=None):
        suite, folders = write_suite(text), []
        for number in range(1, count + 1):
            out = tmp_path / f"part{number}"
            folders.append(out)
            where = On(CARDS[number])
            plan = make_plan(
                suite, out, backend="testing", where=where.site(), shard=Shard(number, count)
            )
            if only is None or number in only:
                run_suite(plan, where, lambda _: None)
            else:
                left = replace(plan, decisions=tuple(d.left() for d in plan.decisions))
                run_suite(left, where, lambda _: None)
        return folders

    return made


def test_the_parts_are_all_cells_once_and_groups_stay_together(write_suite):
    path = write_suite(SUITE)
    cells = expand(load_suite(path), path)
    for count in (1, 2, 3, 4, 5, 7, 20, 30):
        parts = [in_shard(cells, Shard(number, count)) for number in range(1, count + 1)]
        assert [sum(column) for column in zip(*parts, strict=True)] == [1] * len(cells)
        sizes = [sum(part) for part in parts]
        assert max(sizes) - min(sizes) <= 3  # no more than the cells of a group
        if count <= 4:  # model × data set
            groups = {
                (cell.model.name, cell.dataset.name): set()
                for cell in cells
            }  # fmt: skip
            for number, part in enumerate(parts):
                for cell, mine in zip(cells, part, strict=True):
                    groups[cell.model.name, cell.dataset.name] |= {number} if mine else set()
            assert all(len(found) == 1 for found in groups.values())


WRONG = ["", "3", "0/2", "3/2", "a/b", "1/0", "-1/2", "1/2/3", "1.5/2"]


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_part_is_refused(text):
    with pytest.raises(HarnessError, match="is no part"):
        shard_of(text)
    assert shard_of(" 3/8 ") == Shard(3, 8)


def test_joined_shards_are_the_run_and_the_page_ranks_no_speed_across_cards(shards, tmp_path):
    alone = SUITE.replace(", {name: finance-labels, train: 20, test: 8}", "")
    folders = shards(text=alone)
    first, _ = (load_run(folder) for folder in folders)
    assert {c.status for c in first.cells} == {"ok", "missing"}
    outcome = harness.merge(tmp_path / "whole", folders)
    assert outcome.counts == {"ok": 6, "failed": 0, "skipped": 0, "missing": 0}
    run = load_run(tmp_path / "whole")
    assert [cell.key for cell in run.cells] == [cell.key for cell in first.cells]
    assert {cell.hardware for cell in run.cells} == set(CARDS.values())
    page = (tmp_path / "whole" / "leaderboard.md").read_text()
    for card in CARDS.values():
        assert card in page
    assert "different machines" in page


def test_what_no_shard_finished_is_missing(shards, tmp_path):
    outcome = harness.merge(tmp_path / "whole", shards(only=[1]))
    assert outcome.counts["ok"] == outcome.counts["missing"] == 6


def test_shards_of_other_suites_are_refused(shards, write_suite, tmp_path):
    first, _ = shards()
    suite = write_suite(SUITE.replace("train: 20, test: 8}, {", "train: 19, test: 8}, {"))
    where = On(CARDS[2])
    run_suite(
        make_plan(suite, tmp_path / "other", backend="testing", where=where.site(), shard=Shard(2, 2)),
        where, lambda _: None,
    )  # fmt: skip
    with pytest.raises(
        HarnessError, match=r"is not of the same suite as .*ru-calculations.* differs"
    ):
        join([first, tmp_path / "other"], tmp_path / "whole")
    assert not (tmp_path / "whole" / "plan.json").exists()


def test_two_results_of_a_cell_are_refused_and_equal_ones_are_one(shards, tmp_path):
    first, second = shards()
    cell = next(second.glob("cells/*/result.json"))
    copy = first / "cells" / cell.parent.name
    copy.mkdir(exist_ok=True)
    for path in cell.parent.iterdir():
        if path.is_file():
            (copy / path.name).write_bytes(path.read_bytes())
    (copy / "adapter").exists() or _copy_folder(cell.parent / "adapter", copy / "adapter")
    assert join([first, second], tmp_path / "same")["ok"] == 12
    other = read_json(cell)
    other["values"][0]["value"] = 0.123
    write_json(cell, other)
    with pytest.raises(HarnessError, match="two results of"):
        join([first, second], tmp_path / "whole")


def _copy_folder(source: Path, target: Path):
    import shutil

    if source.is_dir():
        shutil.copytree(source, target)


REFUSED = {
    "one run": (lambda a, b, out: [a], "one run is nothing to merge"),
    "an output that is there": (lambda a, b, out: (out.mkdir(), (out / "x").touch(), [a, b])[2],
                                "not empty"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_joined_is_refused(shards, tmp_path, case):
    make, message = REFUSED[case]
    out = tmp_path / "whole"
    runs = make(*shards(), out)
    with pytest.raises(HarnessError, match=message):
        join(runs, out)


def test_a_damaged_file_is_refused_before_anything_is_copied(shards, tmp_path):
    first, second = shards()
    answers = next(second.glob("cells/*/predictions.jsonl"))
    answers.write_text(answers.read_text()[:-20])
    with pytest.raises(HarnessError):
        join([first, second], tmp_path / "whole")
    assert not list((tmp_path / "whole").rglob("result.json"))


def test_the_reason_of_a_skipped_cell_is_that_of_its_machine(shards, tmp_path):
    first, second = shards(only=[1])
    plan = json.loads((second / "plan.json").read_text())
    missing = {c.key for c in load_run(second).cells} - {
        c.key for c in load_run(first).cells if c.status == "ok"
    }
    for entry in plan["cells"]:
        entry["skip"] = "no such card" if entry["key"] in missing else None
    write_json(second / "plan.json", plan)
    outcome = harness.merge(tmp_path / "whole", [first, second])
    assert outcome.counts == {"ok": 6, "failed": 0, "skipped": 6, "missing": 0}
    assert {c.reason for c in load_run(tmp_path / "whole").cells if c.status == "skipped"} == {
        "no such card"
    }
