import csv
import json
import re
from dataclasses import replace

import pytest
from click.testing import CliRunner

from harness.analysis.leaderboard import build_leaderboard
from harness.cli import main
from harness.plan.plan import make_plan
from harness.report.charts.heat import heat_maps
from harness.report.charts.latency import distribution
from harness.report.charts.of_table import forest
from harness.report.files import write_report
from harness.report.latex import escaped
from harness.report.page.examples import word_diff
from harness.report.section import anchor
from harness.report.sections.scores import costs
from harness.results.result import Value
from harness.results.run import load_run
from harness.run.runner import run_here

FIRST_CHARTS = "Charts: ru-calculations"
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
    run_here(make_plan(folder / "page.yaml", out, backend="testing"))
    path = next(out.rglob("*--a--ru-calculations--s0*/predictions.jsonl"))
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records[:6]:
        record["prediction"] = "<script>alert(1)</script> & more"
    path.write_text("".join(f"{json.dumps(r)}\n" for r in records))
    (path.parent / "train_log.jsonl").write_text(
        "".join(f"{json.dumps({'loss': 3.0 - k / 100})}\n" for k in range(200))
    )
    # a result of before results recorded the files beside them: these ones were edited
    result = path.with_name("result.json")
    old = json.loads(result.read_text()) | {"companions": {}, "schema": 2}
    result.write_text(json.dumps(old))
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
    assert "\\u003cscript>alert(1)\\u003c/script> & more" in page
    links = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert [link for link in links if not link.startswith("#")] == []
    assert "default-src 'none'" in page
    assert "<code>tie</code>" in page


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


def section(run_dir, title):
    from harness.report.sections import sections_of

    return next(s for s in sections_of(build_leaderboard(load_run(run_dir))) if s.title == title)


def test_pairs_mirror_each_other_and_their_p_values_are_those_of_the_ties(run_dir):
    table = build_leaderboard(load_run(run_dir)).tables[0]
    found = section(run_dir, "Pairs: ru-calculations")
    names = found.columns[1:]
    cells = {
        (row[0], name): text
        for row in found.rows
        for name, text in zip(names, row[1:], strict=True)
    }
    for (one, other), p in table.ties.p_values.items():
        won, lost, said = re.fullmatch(r"(\d+):(\d+), p ([\d.<> ]+)", cells[one, other]).groups()
        assert cells[other, one] == f"{lost}:{won}, p {said}"
        assert said == (f"{p:.3f}" if p >= 0.001 else "< 0.001")
    assert len(table.ties.p_values) == table.ties.pairs == 15
    assert found.notes[0].endswith("in the first seed.")


def test_heat_maps_stand_for_every_pair_of_axes_and_for_the_data_sets(run_dir):
    figures = section(run_dir, "Data sets").figures
    assert [f.choice for f in figures] == ["quantization × data set", "adapter × data set"]
    board = build_leaderboard(load_run(run_dir))
    squares = figures[1].spec["data"]["values"]
    assert {(s["down"], s["across"]) for s in squares} == {
        (a, d) for a in "ab" for d in ("ru-calculations", "finance-labels")
    }
    table = board.tables[0]
    rows = [row for row in table.rows if row.adapter == "a" and row.deltas]
    mine = [row.deltas["numeric_accuracy"].delta for row in rows]
    square = next(s for s in squares if (s["down"], s["across"]) == ("a", "ru-calculations"))
    assert square["text"] == f"{sum(mine) / len(mine):+.3f}"
    assert square["tooltip"].endswith(f"mean of {len(mine)}")


def test_marks_say_their_values_and_lead_to_their_rows(run_dir):
    figures = {f.name.partition("-")[0]: f for f in section(run_dir, FIRST_CHARTS).figures}
    for name in ("forest", "trade", "effects"):
        svg = figures[name].svg
        assert re.search(r'<a xlink:href="#ru-calc[^"]*"><path [^>]*><title>tiny-qwen2, ', svg)
        assert "aria-label" not in svg
    assert "mean Δ numeric_accuracy" in figures["effects"].svg
    assert "seed 1: numeric_accuracy" in figures["seeds"].svg


def test_every_timed_prompt_is_a_step_of_its_row_s_distribution(run_dir):
    run = load_run(run_dir)
    times = {"nf4": [3.0, 1.0, 2.0, 2.0], "none": [5.0, 4.0]}
    cells = tuple(
        replace(cell, facts={**cell.facts, "latency_ms": times[cell.quantization]})
        for cell in run.cells
    )
    table = build_leaderboard(replace(run, cells=cells)).tables[0]
    figure = distribution(table)
    values = figure.spec["data"]["values"]
    mine = [v for v in values if v["panel"] == "tiny-qwen2, nf4" and v["adapter"] == "base"]
    assert [(v["ms"], v["share"]) for v in mine] == [
        (1, 0), (1, 0.25), (2, 0.5), (2, 0.75), (3, 1),
    ]  # fmt: skip
    both = [v for v in values if v["panel"] == "tiny-qwen2, none" and v["adapter"] == "a"]
    assert len(both) == 1 + 2 * 2, "both seeds"
    assert "tiny-qwen2, nf4" in figure.svg
    untimed = tuple(replace(cell, facts={}) for cell in run.cells)
    table = build_leaderboard(replace(run, cells=untimed)).tables[0]
    assert distribution(table) is None, "nothing was timed"


def test_latencies_that_did_not_settle_are_told(run_dir):
    run = load_run(run_dir)
    spread = iter([0.01, 0.02, 0.4])
    cells = tuple(
        replace(cell, values=(*cell.values, Value("latency_cv", next(spread, 0.0))))
        if cell.dataset == "ru-calculations" and cell.status == "ok"
        else cell
        for cell in run.cells
    )
    told = costs(build_leaderboard(replace(run, cells=cells)).tables[0]).notes
    assert told[0].startswith("1 of 10 latencies did not settle")
    assert "up to 40.0%" in told[0]
    (note,) = costs(build_leaderboard(run).tables[0]).notes
    assert note.startswith("6 latencies without `latency_cv`")


def test_evaluations_within_training_are_drawn_at_their_steps():
    from harness.report.charts.of_table import _curves

    log = [{"loss": 3.0, "step": 5}, {"eval_loss": 2.5, "step": 5}, {"loss": 2.0}]
    points = [(p["what"], p["step"], p["value"]) for p in _curves("a", log)]
    assert points == [
        ("training loss", 5, 3.0), ("training loss", 3, 2.0), ("test loss", 5, 2.5),
    ]  # fmt: skip


def test_every_metric_shows_before_after_and_its_difference(run_dir):
    shown = section(run_dir, "Leaderboard: ru-calculations")
    row = dict(zip(shown.columns, shown.rows[1], strict=True))
    assert re.fullmatch(r"\S+ → \S+ ± \S+", row["rougeL"])
    assert re.fullmatch(r"[-+]0\.\d+ \[[-+0-9., ]+\]( [▲▼=])?", row["Δ rougeL"])
    assert row["status"] == "ok"
    assert shown.columns[-1] == shown.hidden[-1]
    assert "status" not in shown.short().columns
    assert len(shown.short().rows[0]) == len(shown.short().columns)


def test_every_metric_of_the_answers_is_a_column_that_can_be_chosen(run_dir, tmp_path):
    report(run_dir, "-o", tmp_path)
    text = section(run_dir, "Leaderboard: ru-calculations")
    labels = section(run_dir, "Leaderboard: finance-labels")
    assert {"rouge1", "Δ rouge1", "rouge2", "rougeLsum", "exact_match", "perplexity"} & set(
        text.hidden
    ) >= {"rouge1", "Δ rouge1", "rouge2", "rougeLsum", "exact_match"}
    assert {"f1_weighted", "precision_macro", "recall_macro"} <= set(labels.hidden)
    page = (tmp_path / "leaderboard.html").read_text()
    unchecked = re.findall(r'checkbox" autocomplete[^>]*> ([^<]+)</label>', page)
    assert unchecked == [*text.hidden, *labels.hidden]
    shown = (tmp_path / "leaderboard.md").read_text()
    assert "rouge1" not in shown.partition("## How")[0]


def test_the_verdict_names_the_winner_its_gain_and_its_cost(run_dir):
    shown = section(run_dir, "Verdict")
    board = build_leaderboard(load_run(run_dir))
    first = [dict(zip(shown.columns, row, strict=True)) for row in shown.rows]
    best = [row for row in first if row["what"] == "highest mean"]
    assert [row["variant"] for row in best] == [table.best().name for table in board.tables]
    assert {row["data set"] for row in first} == {"ru-calculations", "finance-labels"}
    assert all(row["Δ [95%]"] for row in first)


def test_what_did_not_run_is_listed_with_its_reason(run_dir):
    (row,) = section(run_dir, "Not run").rows
    assert row[:5] == (
        "qwen2-0.5b-instruct", "none, nf4", "base, a, b", "ru-calculations, finance-labels", "20",
    )  # fmt: skip
    assert row[5] == "skipped"
    assert "GPU" in row[6]


def test_settings_are_told_once_with_the_axis_that_they_differ_by(run_dir):
    found = {(row[0], row[1]): row[2] for row in section(run_dir, "Settings").rows}
    assert found["adapter_config.r", "4"] == "adapter: a"
    assert found["dataset.test", "40"] == "dataset: ru-calculations"
    assert found["evaluation.margin", "0.05"] == "every cell"
    assert not any("/" in value for _, value in found)


def test_scores_are_told_by_the_length_of_the_reference(run_dir):
    shown = section(run_dir, "Length: ru-calculations")
    rows = [row for row in shown.rows if row[:3] == shown.rows[0][:3]]
    assert [row[3] for row in rows] == ["short", "medium", "long"]
    cell = build_leaderboard(load_run(run_dir)).tables[0].rows[1].finished[0]
    assert sum(int(row[5]) for row in rows) == cell.value("numeric_accuracy").n > 30
    assert shown.page_only


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
    assert "Measured on 2 machines, whose speeds cannot be compared." in text
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
     ("12.5%", "12.5"), ("0.05 → 0.06 ± 0.01", "0.06"), ("12:30", "12"), ("a → 3", "a → 3"),
     ("2e-05", "2e-05"), ("2 rows", "2"), ("lora-r8", "lora-r8"), ("–", "–")],
)  # fmt: skip
def test_cells_sort_by_the_number_that_they_begin_with(text, key):
    from harness.report.page.rows import sort_key

    assert sort_key(text) == key


@pytest.mark.parametrize(("rows", "large"), [(10, False), (3000, True)])
def test_a_page_of_many_rows_is_laid_out_as_it_comes_into_view(rows, large):
    from harness.report.page.html import render_html
    from harness.report.section import Section

    page = render_html("t", [Section("s", columns=("a",), rows=(("1",),) * rows)])
    assert ('<main class="large">' in page) is large


def test_an_interval_is_drawn_between_its_ends():
    from harness.report.page.rows import body
    from harness.report.section import DrawnInterval, Section

    marks = (DrawnInterval(5, 0, 10, 0), None, DrawnInterval(10, 10, 10))
    rows = (("5 [0, 10]",), ("–",), ("10 <b>",))
    first, second, third = body(Section("s", (), ("a",), rows, intervals={"a": marks})).split("\n")
    assert 'd="M2.0 5H98.0M49.0 3h2v4h-2zM2.0 0v2M2.0 8v2"' in first
    assert "5 [0, 10]<svg" in first
    assert "<svg" not in second
    assert 'd="M98.0 5H98.0M97.0 3h2v4h-2z"' in third
    assert "10 &lt;b&gt;" in third


def test_anchors_are_stable_and_distinct():
    assert anchor("item", "a b", "c") == anchor("item", "a b", "c") != anchor("item", "a", "b c")


def test_a_report_shows_cells_without_a_result_as_missing(run_dir, tmp_path):
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(run_dir, broken)
    first, second, *_ = sorted(broken.rglob("*--a--finance-labels*/result.json"))
    first.unlink()
    second.unlink()
    board = build_leaderboard(load_run(broken))
    write_report(board, tmp_path / "r")
    assert "2 cells missing: no result yet" in (tmp_path / "r" / "leaderboard.md").read_text()
