import csv
import json
import re

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.leaderboard import build_leaderboard
from harness.report import write_report
from harness.report.charts import forest
from harness.report.examples import word_diff
from harness.report.heat import heat_maps
from harness.report.latex import escaped
from harness.report.section import anchor
from harness.results import load_run
from harness.runner import make_plan, run_here

SUITE = """\
name: page
matrix:
  model: [tiny-qwen2, qwen2-0.5b-instruct]
  quantization: [none, nf4]
  adapter: [{name: a, config: {r: 4}}, {name: b, config: {r: 8}}]
  dataset: [{name: ru-calculations, train: 60, test: 40}, {name: finance-labels, train: 60, test: 30}]
  seed: [0, 1]
evaluation: {margin: 0.05}
"""


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory, root):
    folder = tmp_path_factory.mktemp("page")
    (folder / "models").symlink_to(root / "models")
    (folder / "page.yaml").write_text(SUITE)
    out = folder / "out"
    run_here(make_plan(folder / "page.yaml", out), backend="testing")
    path = next(out.rglob("*--a--ru-calculations--s0*/predictions.jsonl"))
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records[:6]:
        record["prediction"] = "<script>alert(1)</script> & more"
    path.write_text("".join(f"{json.dumps(r)}\n" for r in records))
    (path.parent / "train_log.jsonl").write_text(
        "".join(f"{json.dumps({'loss': 3.0 - k / 100})}\n" for k in range(200))
    )
    CliRunner().invoke(main, ["score", str(out)])
    return out


def report(*arguments):
    result = CliRunner().invoke(main, ["report", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def test_the_page_is_one_file_that_asks_for_nothing(run_dir, tmp_path):
    report(run_dir, "-o", tmp_path)
    page = (tmp_path / "leaderboard.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    links = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert [link for link in links if not link.startswith("#")] == []
    assert "default-src 'none'" in page


def test_every_link_of_the_page_has_its_target(run_dir, tmp_path):
    report(run_dir, "-o", tmp_path)
    page = (tmp_path / "leaderboard.html").read_text()
    ids = re.findall(r'\bid="([^"]+)"', page)
    targets = {link[1:] for link in re.findall(r'href="(#[^"]+)"', page)}
    assert targets <= set(ids), targets - set(ids)
    assert len(ids) == len(set(ids))


def test_charts_stand_beside_the_markdown(run_dir, tmp_path):
    report(run_dir, "-o", tmp_path)
    named = re.findall(r"\]\(charts/([^)]+)\)", (tmp_path / "leaderboard.md").read_text())
    kinds = {name.partition("-")[0] for name in named}
    assert kinds == {"forest", "heat", "trade", "training"}
    for name in named:
        assert (tmp_path / "charts" / name).read_text().startswith("<svg")


def test_the_forest_plot_holds_the_differences_the_margin_and_a_dot_per_seed(run_dir):
    board = build_leaderboard(load_run(run_dir))
    figure = forest(board.tables[0])
    deltas = {
        row.name: row.deltas["numeric_accuracy"] for row in board.tables[0].rows if row.deltas
    }
    values = {v["row"]: v for v in figure.spec["data"]["values"]}
    assert {name: v["delta"] for name, v in values.items()} == {
        n: d.delta for n, d in deltas.items()
    }
    assert figure.spec["layer"][0]["data"]["values"] == [{"from": -0.05, "to": 0.05}]
    assert len(figure.spec["layer"][-1]["data"]["values"]) == 2 * len(deltas)
    assert [f.choice for f in heat_maps(board.tables[0])] == ["quantization × adapter"]


def test_the_same_run_gives_the_same_bytes(run_dir, tmp_path):
    for name in ("a", "b"):
        report(run_dir, "-o", tmp_path / name, "--latex")
    files = sorted(
        p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file()
    )
    assert len(files) > 8
    for path in files:
        assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes(), path


def test_latex_is_escaped_booktabs(run_dir, tmp_path):
    report(run_dir, "-o", tmp_path, "--latex")
    text = (tmp_path / "leaderboard.tex").read_text()
    assert text.count(r"\toprule") == text.count(r"\end{tabular}") > 5
    assert r"numeric\_accuracy" in text
    assert escaped("50% & a_b {x} Δ±") == r"50\% \& a\_b \{x\} $\Delta$$\pm$"


def test_a_user_s_template_replaces_a_part(run_dir, tmp_path):
    folder = tmp_path / "templates"
    folder.mkdir()
    shipped = "leaderboard.html.j2"
    (folder / "own.j2").write_text("<p>own words</p>")
    (folder / shipped).write_text(
        "<!doctype html><title>{{ title }}</title>{% include 'own.j2' %}{{ sections|length }}"
    )
    report(run_dir, "-o", tmp_path / "r", "--template", folder, "--title", "Mine & yours")
    page = (tmp_path / "r" / "leaderboard.html").read_text()
    assert "Mine &amp; yours" in page
    assert "<p>own words</p>" in page


def test_rows_can_be_compared_along_another_axis_and_by_another_metric(run_dir, tmp_path):
    board = build_leaderboard(load_run(run_dir), metric="rougeL", baseline_of="quantization")
    table = board.tables[0]
    compared = [row for row in table.rows if row.deltas]
    assert {row.quantization for row in compared} == {"nf4"}
    assert {row.baseline.quantization for row in compared} == {"none"}
    assert table.primary_metric == "rougeL"
    report(run_dir, "-o", tmp_path, "--baseline-of", "quantization", "--metric", "rougeL")


def test_several_runs_stand_side_by_side(run_dir, tmp_path):
    other = tmp_path / "elsewhere"
    import shutil

    shutil.copytree(run_dir, other)
    for path in other.rglob("result.json"):
        path.write_text(path.read_text().replace('"cores": ', '"cores": 9'))
    plan = json.loads((other / "plan.json").read_text())
    for cell in plan["cells"]:
        old = cell["key"]
        cell["key"] = f"{old}x"
        if (other / "cells" / old).is_dir():
            (other / "cells" / old).rename(other / "cells" / cell["key"])
            result = other / "cells" / cell["key"] / "result.json"
            result.write_text(result.read_text().replace(old, cell["key"]))
    (other / "plan.json").write_text(json.dumps(plan))
    report(run_dir, other, "-o", tmp_path / "both")
    text = (tmp_path / "both" / "leaderboard.md").read_text()
    assert "Measured on 2 machines: speed is not compared across them." in text
    with (tmp_path / "both" / "results.csv").open() as file:
        models = {record["model"] for record in csv.DictReader(file)}
    assert any("out: tiny-qwen2" in model for model in models)
    assert any("elsewhere: tiny-qwen2" in model for model in models)
    result = CliRunner().invoke(main, ["report", str(run_dir), str(other)])
    assert result.exit_code == 2


def test_each_class_has_its_scores_beside_the_confusion_matrix(run_dir):
    from harness.report.sections import sections_of

    sections = sections_of(build_leaderboard(load_run(run_dir)))
    section = next(s for s in sections if s.title == "Confusion: finance-labels")
    row = dict(zip(section.columns, section.rows[0], strict=True))
    hits, total = int(row[row["gold"]]), sum(int(row[c]) for c in section.columns[4:8])
    assert float(row["recall"]) == pytest.approx(hits / total, abs=1e-3)
    assert {"precision", "F1"} <= set(row)


def test_words_that_stand_on_one_side_are_marked():
    before, after = word_diff("the rate is 5 percent", "the rate was 7 percent")
    assert [p.text for p in before if p.alone] == ["is 5"]
    assert [p.text for p in after if p.alone] == ["was 7"]
    assert " ".join(p.text for p in after) == "the rate was 7 percent"


@pytest.mark.parametrize(
    ("text", "key"),
    [("0.05 [0.04, 0.06]", "0.05"), ("+0.3 [+0.1, +0.5]", "+0.3"), ("4,399,104", "4399104"),
     ("12.5%", "12.5"), ("2e-05", "2e-05"), ("2 rows", "2"), ("lora-r8", "lora-r8"), ("–", "–")],
)  # fmt: skip
def test_cells_sort_by_the_number_that_they_begin_with(text, key):
    from harness.report.table import sort_key

    assert sort_key(text) == key


def test_anchors_are_stable_and_distinct():
    assert anchor("item", "a b", "c") == anchor("item", "a b", "c") != anchor("item", "a", "b c")


def test_a_report_survives_a_truncated_result_and_a_newer_schema(run_dir, tmp_path):
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(run_dir, broken)
    first, second, *_ = sorted(broken.rglob("*--a--finance-labels*/result.json"))
    first.write_text(first.read_text()[:200])
    second.write_text(second.read_text().replace('"schema": 1', '"schema": 99'))
    board = build_leaderboard(load_run(broken))
    write_report(board, tmp_path / "r")
    assert "2 cells missing: no result yet" in (tmp_path / "r" / "leaderboard.md").read_text()
