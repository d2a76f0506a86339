"""The memory estimate is within 10% of what was measured (reports/geometry, one H200)."""

import csv
import re

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.plan.expand import expand
from harness.plan.memory import CONTEXT_MIB, estimate
from harness.suite.loading import load_suite

PHASES = {
    "load": "load_vram_mib",
    "inference": "infer_peak_vram_mib",
    "training": "train_peak_vram_mib",
}


@pytest.fixture(scope="module")
def pairs(root):
    """(row, phase) → (estimated, measured) MiB."""
    path = root / "suites" / "published" / "geometry.yaml"
    cells = {(c.model.name, c.quantization, c.adapter): c for c in expand(load_suite(path), path)}
    found = {}
    with (root / "reports" / "geometry" / "results.csv").open() as file:
        for record in csv.DictReader(file):
            for phase, metric in PHASES.items():
                if record["metric"] == metric:
                    key = tuple(record[axis] for axis in ("model", "quantization", "adapter"))
                    made = getattr(estimate(cells[key]), phase)
                    found[(*key, phase)] = (made, float(record["value"]))
    return found


def test_every_measured_phase_is_within_10_percent(pairs):
    assert len(pairs) == 24 + 24 + 12
    wrong = {k: (round(a), round(b)) for k, (a, b) in pairs.items() if abs(a / b - 1) > 0.10}
    assert wrong == {}


def test_most_are_within_5_percent(pairs):
    close = sum(abs(a / b - 1) <= 0.05 for a, b in pairs.values())
    assert close / len(pairs) >= 0.8


def test_the_plan_says_what_fits_where_and_skips_what_does_not(root, tmp_path):
    suite = str(root / "suites" / "published" / "geometry.yaml")
    result = CliRunner().invoke(main, ["plan", suite, "--max-vram", "8GB", "-o", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert re.search(r"^  none +lora-r16 .* skip +21\.\d +\d+\.\d +24 GiB$", result.output, re.M)
    assert "more than --max-vram 8 GiB" in result.output
    assert CliRunner().invoke(main, ["plan", suite, "--max-vram", "big"]).exit_code == 2


def test_checkpointing_and_eight_bit_states_need_less(write_suite):
    def made(**training):
        path = write_suite()
        text = path.read_text().replace("tiny-qwen2", "mistral-7b-v0.1")
        extra = "".join(f", {k}: {v}" for k, v in training.items())
        path.write_text(text.replace("max_length: 256", f"max_length: 256{extra}"))
        return estimate(expand(load_suite(path), path)[1])

    plain = made()
    assert made(gradient_checkpointing="true").training < plain.training
    assert made(optim="paged_adamw_8bit").parts["optimizer"] == plain.parts["optimizer"] / 4
    assert plain.card_gib * 1024 >= plain.peak + CONTEXT_MIB
