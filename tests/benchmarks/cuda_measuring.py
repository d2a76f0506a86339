"""Memory estimates and repeated latency against a finished geometry run: `reports/benchmarks/`.

    harness run suites/published/geometry.yaml
    python tests/benchmarks/cuda_measuring.py runs/geometry -o reports/benchmarks

Each phase's estimate is from the configuration alone; the peak is the allocator's. The latency's
coefficient of variation is over its last three rounds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from harness.plan.expand import expand
from harness.plan.memory import estimate
from harness.report.markdown import markdown_table
from harness.results.run import load_run
from harness.suite.loading import load_suite

ROOT = Path(__file__).parents[2]
PHASES = {
    "load": "load_vram_mib", "inference": "infer_peak_vram_mib", "training": "train_peak_vram_mib",
}  # fmt: skip
COLUMNS = (
    "model", "quantization", "adapter", "load, MiB", "estimate", "inference, MiB", "estimate",
    "training, MiB", "estimate", "latency CV", "decoding, share of bandwidth",
    "training, share of FLOPs",
)  # fmt: skip


def records(run):
    path = ROOT / "suites" / "published" / "geometry.yaml"
    cells = {(c.model.name, c.quantization, c.adapter): c for c in expand(load_suite(path), path)}
    for cell in run.cells:
        if cell.status != "ok":
            continue
        made = estimate(cells[cell.model, cell.quantization, cell.adapter])
        values = {v.metric: v.value for v in cell.values}
        yield {
            "model": cell.model, "quantization": cell.quantization, "adapter": cell.adapter,
            "phases": {
                phase: {"measured_mib": values[metric], "estimate_mib": getattr(made, phase)}
                for phase, metric in PHASES.items()
                if values.get(metric) is not None
            },
            **{
                key: values.get(key)
                for key in ("latency_cv", "decode_bandwidth_share", "train_flops_share")
            },
        }  # fmt: skip


def row(record):
    cells = [record["model"], record["quantization"], record["adapter"]]
    for phase in PHASES:
        found = record["phases"].get(phase)
        if found is None:
            cells += ["", ""]
        else:
            off = found["estimate_mib"] / found["measured_mib"] - 1
            cells += [f"{found['measured_mib']:,.0f}", f"{off:+.1%}"]
    for key in ("latency_cv", "decode_bandwidth_share", "train_flops_share"):
        cells.append("" if record[key] is None else f"{record[key]:.1%}")
    return tuple(cells)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "reports" / "benchmarks")
    options = parser.parse_args()
    run = load_run(options.run)
    found = list(records(run))
    offs = [
        abs(p["estimate_mib"] / p["measured_mib"] - 1) for r in found for p in r["phases"].values()
    ]
    spreads = [r["latency_cv"] for r in found if r["latency_cv"] is not None]
    about = {
        "device": run.environment.machine["gpu"],
        "packages": ", ".join(f"{k} {v}" for k, v in run.environment.packages.items() if v),
        "commands": "harness run suites/published/geometry.yaml; "
        "python tests/benchmarks/cuda_measuring.py runs/geometry -o reports/benchmarks",
        "memory estimates within 10% (the bar: all)":
            f"{sum(o <= 0.10 for o in offs)} of {len(offs)} phases, the worst {max(offs):.1%}",
        "latency p50 repeated (the bar: CV of 3% at most)":
            f"{sum(s <= 0.03 for s in spreads)} of {len(spreads)} cells, the worst {max(spreads):.1%}",
    }  # fmt: skip
    lines = ["# Measuring on CUDA", "", *(f"- {k}: {v}" for k, v in about.items()), ""]
    lines += markdown_table(COLUMNS, [row(record) for record in found])
    options.output.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"about": about, "cells": found}, indent=1)
    (options.output / "cuda_measuring.json").write_text(text + "\n")
    (options.output / "cuda_measuring.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
