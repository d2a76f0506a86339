"""The reports in the repository are what the code renders now from the packed runs beside them."""

import importlib.util
import json
import re
import tarfile

import pytest

SUFFIXES = {".md", ".csv", ".html", ".svg"}


@pytest.fixture(scope="module")
def regenerate(root):
    place = importlib.util.spec_from_file_location("regenerate", root / "reports/regenerate.py")
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.suffix in SUFFIXES
    }


@pytest.mark.parametrize(
    "folder", ["finance", "published", "geometry", "real", "real-sweep", "real-text"]
)
def test_a_committed_report_is_what_its_packed_runs_render(regenerate, root, tmp_path, folder):
    regenerate.render(folder, tmp_path)
    now, committed = files(tmp_path), files(root / "reports" / folder)
    assert "leaderboard.html" in now
    drifted = sorted(k for k in now.keys() | committed.keys() if now.get(k) != committed.get(k))
    assert drifted == [], f"run `python reports/regenerate.py` and commit reports/{folder}"


def test_every_packed_run_is_reported(regenerate, root):
    packed = {str(path.relative_to(root / "reports")) for path in root.glob("reports/*/*.tar.xz")}
    named = {f"{k}/{name}.tar.xz" for k, r in regenerate.REPORTS.items() for name in r.packs}
    assert packed == named


def test_no_packed_run_names_a_folder_or_an_owner(root):
    for path in root.glob("reports/*/*.tar.xz"):
        with tarfile.open(path) as archive:
            for member in archive:
                text = archive.extractfile(member).read().decode()
                assert not re.search(r"(?<![\w:/])/(?:home|root|tmp|Users)/", text), member
                assert member.name.endswith(".jsonl") or '"/' not in text, member
                assert (member.mtime, member.uid, member.uname) == (0, 0, "")


def test_quality_stands_against_memory_latency_and_training_time(root):
    drawn = root.glob("reports/finance/charts/trade-off-finance-qa-*.svg")
    assert {path.name.split("-")[4] for path in drawn} == {"memory", "latency", "training"}


def test_test_loss_is_drawn_before_and_after_training(root):
    (path,) = root.glob("reports/finance/charts/training-finance-qa-*.svg")
    steps = set(re.findall(r"test loss [\d.]+ at step (\d+)", path.read_text()))
    assert steps == {"0", "45"}


def test_examples_say_which_number_was_read_from_an_answer(root):
    page = (root / "reports/finance/leaderboard.html").read_text()
    (text,) = re.findall(r'<script type="application/json" id="all-answers">(.*?)</script>', page)
    numbers = next(e for e in json.loads(text) if e["metric"] == "numeric_accuracy")
    answers = [side for base in numbers["bases"].values() for side in base.values()]
    # answer, score, what was read (empty: nothing), and where it stands
    framed = [(text[slice(*side[0])], read) for text, _, read, *side in answers if side]
    assert framed
    assert all(shown == read for shown, read in framed)
    assert any(not read for _, _, read, *_ in answers)
