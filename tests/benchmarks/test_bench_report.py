"""A report of 1,000 cells × 300 examples: seconds, memory and size, and how its page answers.

800 contrasts of 10,000 permutations and 10,000 bootstrap resamples each. The bar holds for two
cores that do nothing else. Where others compute too, the clock says little, so seconds are those of
the processor (user and system) or of the clock, whichever are fewer, in the better of two rounds.
"""

import json
import random
import shutil
import subprocess
import sys

import pytest

from harness.importers.imported import Imported, write_run
from harness.results.result import Value

MAX_SECONDS = 10
MAX_MIB = 1024
MAX_PAGE_MB = 5
MAX_OPEN_MS = 2000
MAX_SORT_MS = 200
EXAMPLES = 300
WORDS = [
    "the",
    "rate",
    "of",
    "a",
    "bond",
    "falls",
    "when",
    "its",
    "price",
    "rises",
    "and",
    "a",
    "share",
    "pays",
    "what",
    "is",
    "left",
]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

MEASURE = """
import json, os, subprocess, sys, time
started = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, used = os.wait4(process.pid, 0)
print(json.dumps({
    "status": status, "wall": time.perf_counter() - started, "user": used.ru_utime,
    "system": used.ru_stime, "mib": used.ru_maxrss / 1024,
}))
"""
"""Runs a command from a small process: a child's peak counts what its parent held at the fork."""

SORT = """
async (header) => {
  const table = header.closest("table");
  const drawn = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const started = performance.now();
  const sorted = new Promise((done) => table.addEventListener("sort-end", done, {once: true}));
  header.click();
  await sorted;
  await drawn();
  return performance.now() - started;
}
"""
"""Milliseconds from a click on a header to the first frame with the sorted rows."""


def cells(source):
    rng = random.Random(0)
    axes = [(m, q, a, d) for m in range(10) for q in range(4) for a in range(5) for d in range(5)]
    for m, q, a, d in axes:
        records = [
            {
                "id": f"e{i}", "prompt": f"question {i}", "example_prompt": f"question {i}",
                "reference": "reference", "prediction": " ".join(rng.choices(WORDS, k=20)),
                "finish_reason": "stop", "data_hash": str(i), "prompt_hash": str(i),
                "answered_by": "generation", "category": None, "group": None, "gold": None,
                "scores": {"rougeL": min(1, max(0, rng.gauss(0.3 + 0.02 * a, 0.15)))},
            }
            for i in range(EXAMPLES)
        ]  # fmt: skip
        mean = sum(r["scores"]["rougeL"] for r in records) / EXAMPLES
        values = (
            Value("rougeL", mean, "F1", True, EXAMPLES, mean - 0.02, mean + 0.02),
            Value("infer_peak_vram_mib", 1000 + rng.random()),
            Value("latency_p50_ms", 10 + rng.random()),
        )
        name = "base" if a == 0 else f"a{a}"
        yield Imported(
            f"m{m}", f"q{q}", name, f"d{d}", None if a == 0 else 0, "rougeL", source,
            values=values, records=records,
        )  # fmt: skip


def measured(*command):
    found = subprocess.run(
        [sys.executable, "-c", MEASURE, *command], check=True, capture_output=True, text=True
    )
    return json.loads(found.stdout)


def seconds(used):
    return min(used["wall"], used["user"] + used["system"])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("big")
    (folder / "source").write_text("x")
    write_run(folder / "run", "big", list(cells(folder / "source")))
    return folder / "run"


@pytest.fixture(scope="module")
def report(run):
    def render():
        command = ("-m", "harness.cli", "report", str(run), "-o", str(run.parent / "report"))
        return measured(sys.executable, *command)

    return run.parent / "report", render


def test_a_thousand_cells_take_at_most_10_seconds_1_gib_and_5_mb(report, benchmark, figure):
    folder, render = report
    rounds = []
    benchmark.pedantic(lambda: rounds.append(render()), rounds=2)
    used = min(rounds, key=seconds)
    page = (folder / "leaderboard.html").stat().st_size / 1e6
    met = seconds(used) <= MAX_SECONDS and used["mib"] <= MAX_MIB and page <= MAX_PAGE_MB
    figure(
        "a report of 1,000 cells × 300 examples",
        f"≤ {MAX_SECONDS} s, {MAX_MIB} MiB, {MAX_PAGE_MB} MB",
        f"{used['wall']:.1f} s, {used['mib']:.0f} MiB, {page:.2f} MB", met,
        seconds={key: used[key] for key in ("wall", "user", "system")},
    )  # fmt: skip
    assert used["status"] == 0
    assert page <= MAX_PAGE_MB
    assert used["mib"] <= MAX_MIB
    assert seconds(used) <= MAX_SECONDS


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_the_page_of_a_thousand_cells_opens_and_sorts_at_once(report, benchmark, figure):
    sync_api = pytest.importorskip("playwright.sync_api")
    folder, render = report
    if not (folder / "leaderboard.html").is_file():
        render()
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto((folder / "leaderboard.html").as_uri())
        opened = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
        tables = page.locator("table[id^=leaderboard]")
        header = tables.first.locator("th").nth(4)
        sort_ms = []
        benchmark.pedantic(lambda: sort_ms.append(header.evaluate(SORT)), rounds=5)
        shown = tables.first.locator("tbody tr td:nth-child(5)").all_inner_texts()
        count = tables.count()
        browser.close()
    median = sorted(sort_ms)[len(sort_ms) // 2]
    figure(
        "its page in Chromium: opened, a table of 200 rows sorted",
        f"≤ {MAX_OPEN_MS} ms, ≤ {MAX_SORT_MS} ms", f"{opened:.0f} ms, {median:.0f} ms",
        opened <= MAX_OPEN_MS and median <= MAX_SORT_MS,
    )  # fmt: skip
    scores = [float(text.split()[0]) for text in shown]
    assert (count, len(scores)) == (5, 200)
    assert scores == sorted(scores, reverse=True)
    assert opened <= MAX_OPEN_MS
    assert median <= MAX_SORT_MS
