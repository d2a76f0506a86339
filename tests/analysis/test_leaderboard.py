"""What a leaderboard keeps in memory of the answers that it reads."""

import pytest

from harness.analysis.leaderboard import build_leaderboard
from harness.importers.imported import Imported, write_run
from harness.results.result import Value
from harness.results.run import load_run

LONG = "a prompt of more than sixty-four characters, which no parser keeps by itself: "


def records(**changes):
    return [
        {
            "id": f"e{i}", "prompt": f"{LONG}{i}", "example_prompt": f"{LONG}{i}, as it was asked",
            "reference": f"{LONG}{i}, answered", "prediction": "yes", "finish_reason": "stop",
            "data_hash": str(i), "prompt_hash": str(i), "answered_by": "generation",
            "category": None, "group": None, "gold": None, "scores": {"rougeL": 0.5}, **changes,
        }
        for i in range(3)
    ]  # fmt: skip


@pytest.fixture
def board(tmp_path):
    (tmp_path / "source").write_text("x")
    values = (Value("rougeL", 0.5, "F1", True, 3),)
    sides = {"base": records(), "same": records(), "other": records(prompt="another")}
    cells = [
        Imported(
            "m", "none", name, "d", 0 if name != "base" else None, "rougeL", tmp_path / "source",
            values=values, records=own,
        )
        for name, own in sides.items()
    ]  # fmt: skip
    write_run(tmp_path / "run", "texts", cells)
    return build_leaderboard(load_run(tmp_path / "run"))


def test_equal_texts_of_two_cells_are_one_in_memory_and_others_stay_as_they_are(board):
    base, same, other = (board.records(cell) for cell in board.run.cells)
    for i in base:
        assert all(base[i][name] is same[i][name] for name in ("prompt", "example_prompt"))
        assert base[i]["reference"] is same[i]["reference"] is other[i]["reference"]
        assert other[i]["prompt"] == "another"
