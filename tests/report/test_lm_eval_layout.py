"""Our own data sets in the layout of lm-evaluation-harness, and back by its importer."""

import json

import pytest

import harness
from harness.importers import import_results
from harness.report.lm_eval_layout import write_lm_eval

SUITE = """\
name: both
matrix:
  model: [tiny-qwen2]
  adapter: [{name: lora-r4, config: {r: 4}}]
  seed: [0, 1]
  dataset:
    - {name: ru-calculations, rows: 60, train: 20, test: 12}
    - {name: moods, source: moods.csv, labels: [up, down], train: 20, test: 8, group_by: null}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory, request):
    """A run of the backend without torch."""
    folder = tmp_path_factory.mktemp("layout")
    (folder / "models").symlink_to(request.config.rootpath / "models")
    rows = "".join(f"text {k},{('up', 'down')[k % 2]}\n" for k in range(40))
    (folder / "moods.csv").write_text(f"text,label\n{rows}")
    (folder / "suite.yaml").write_text(SUITE)
    plan = harness.plan(
        folder / "suite.yaml", output=folder / "run", executor="in_process", backend="testing"
    )
    return harness.run(plan)


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    return write_lm_eval(run, tmp_path_factory.mktemp("out"))


def test_every_cell_has_results_and_samples(run, exported):
    for kind in ("results", "samples"):
        assert len(list(exported.rglob(f"{kind}_*"))) == len(run.cells) == 6


def test_results_hold_the_run_s_values(run, exported):
    (path,) = (exported / "tiny-qwen2--none--lora-r4--s1" / "moods").glob("results_*.json")
    results = json.loads(path.read_text())
    (cell,) = [c for c in run.cells if (c.dataset, c.seed) == ("moods", 1)]
    numbers = results["results"]["moods"]
    assert numbers["accuracy,none"] == cell.value("accuracy").value
    assert numbers["f1_macro,none"] == cell.value("f1_macro").value
    assert numbers["f1_macro_stderr,none"] == "N/A"
    assert 0 <= numbers["accuracy_stderr,none"] < 0.5
    assert results["n-samples"]["moods"] == {"original": 8, "effective": 8}
    assert results["config"]["model_args"] == {"pretrained": "tiny-qwen2", "peft": "lora-r4"}
    assert results["harness"]["cell"] == cell.key
    assert not [name for name in numbers if "latency" in name or "vram" in name]


def test_samples_hold_what_was_asked_answered_and_scored(run, exported):
    (path,) = (exported / "tiny-qwen2--none--base" / "ru-calculations").glob("samples_*.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    (cell,) = [c for c in run.cells if (c.dataset, c.adapter) == ("ru-calculations", "base")]
    for line, record in zip(lines, run.predictions(cell), strict=True):
        assert line["arguments"]["gen_args_0"]["arg_0"] == record["prompt"]
        assert line["resps"] == [[record["prediction"]]]
        assert {name: line[name] for name in line["metrics"]} == record["scores"]


def test_the_importer_reads_the_same_cells_and_scores(run, exported, tmp_path):
    import_results([exported], tmp_path / "back", name="back")
    back = harness.load_run(tmp_path / "back")
    axes = lambda cells: {tuple(c.axes.values()) for c in cells}  # noqa: E731
    assert axes(back.cells) == axes(run.cells)
    ours = {tuple(c.axes.values()): c for c in run.cells}
    for cell in back.cells:
        known = ours[tuple(cell.axes.values())]
        records = zip(back.predictions(cell), run.predictions(known), strict=True)
        for theirs, own in records:
            assert theirs["scores"] == own["scores"]
        for value in cell.values:
            assert value.value == pytest.approx(known.value(value.metric).value, rel=1e-12)
            assert value.higher_is_better is known.value(value.metric).higher_is_better


def test_the_command_writes_it_beside_the_report(run, tmp_path):
    from click.testing import CliRunner

    from harness.cli import main

    words = ["report", str(run.directory), "-o", str(tmp_path / "out"), "--lm-eval"]
    found = CliRunner().invoke(main, words)
    assert found.exit_code == 0, found.output
    assert (tmp_path / "out" / "lm_eval" / "tiny-qwen2--none--base" / "moods").is_dir()
