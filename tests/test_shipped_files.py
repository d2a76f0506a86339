"""Every suite and model card that is shipped, and the baseline that the project gates itself by."""

from harness.gate.baseline import load_snapshot
from harness.plan.expand import expand
from harness.suite.loading import load_suite
from harness.suite.model_card import load_model_card


def test_every_suite_is_valid(shipped_suites):
    suites = sorted(shipped_suites.rglob("*.yaml"))
    assert suites
    for path in suites:
        assert expand(load_suite(path), path)


def test_the_first_run_is_a_grid_that_needs_no_gpu(root):
    path = root / "suites" / "finance.yaml"
    here = [c for c in expand(load_suite(path), path) if c.model.requires.accelerator != "cuda"]
    trained = [cell for cell in here if not cell.is_baseline]
    # each is seconds of work, and all of them are to take two minutes on two cores
    assert 12 <= len(trained) <= 20
    assert {cell.dataset.name for cell in here} == {
        "finance-qa", "ru-calculations", "finance-labels"
    }  # fmt: skip
    assert {cell.quantization for cell in here} == {"none", "int8", "nf4"}
    assert len({cell.model.name for cell in here}) == len({cell.adapter for cell in trained}) == 2


def test_every_model_card_is_valid(root):
    for path in sorted((root / "models").glob("*.yaml")):
        assert load_model_card(path).name == path.stem


def test_the_committed_baseline_is_of_the_suite(root):
    path = root / "suites" / "ci.yaml"
    rows = {
        f"{c.model.name}--{c.quantization}--{c.adapter}--{c.dataset.name}"
        for c in expand(load_suite(path), path)
    }
    baseline = load_snapshot(str(path.with_suffix(".baseline.json")), path)
    assert set(baseline.rows()) == rows
    assert all(cell.status == "ok" for cell in baseline.cells)
