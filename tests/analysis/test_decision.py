"""What is recommended, from tables whose answer is known beforehand."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from harness.analysis.cautions import Gravity, run_cautions
from harness.analysis.decision import decide
from harness.analysis.difference import Criteria, differences
from harness.analysis.leaderboard import Leaderboard
from harness.analysis.table import Row, Table
from harness.analysis.ties import RowScores, ties
from harness.report.contrast_text import needs_text
from harness.results.records import Environment, Noise
from harness.results.result import CellResult, Value
from harness.results.run import Run
from harness.suite.schema import Objectives

N = 60


def records(scores):
    return {
        f"{k}": {"id": f"{k}", "scores": {"rougeL": s}, "category": "first" if k < 20 else "rest",
                 "prediction": "", "reference": "", "example_prompt": ""}
        for k, s in enumerate(scores)
    }  # fmt: skip


def wave(level, step=7):
    """Scores around ``level`` that differ from one example to the next."""
    return [level + 0.05 * ((k * step) % 11 - 5) / 5 for k in range(N)]


def board(
    sides, *, seeds=1, trivial=None, memory=None, latency=None, data=None, objectives=None,
    floor=0.0, ends=(None, None),
):  # fmt: skip
    """A leaderboard of ``sides``: adapter → scores; `base` is the baseline."""
    stored, rows, made = {}, [], {}
    for adapter, scores in sides.items():
        values = [Value("rougeL", sum(scores) / len(scores), n=len(scores), ci_low=ends[0],
                        ci_high=ends[1])]  # fmt: skip
        values += [Value("rougeL_constant", trivial)] if trivial is not None else []
        values += [Value("infer_peak_vram_mib", memory[adapter])] if memory else []
        values += [Value("latency_p50_ms", latency[adapter])] if latency else []
        cells = tuple(
            CellResult(
                f"{adapter}{seed}", "ok", "m", "none", adapter, "d", seed, "f",
                primary_metric="rougeL", values=tuple(values), data=data or {},
                noise=Noise(10, {"batch": 0.1}, {"rougeL": floor}) if floor else Noise(),
            )
            for seed in (range(seeds) if adapter != "base" else [None])
        )  # fmt: skip
        for cell in cells:
            stored[cell.key] = records(scores)
        made[adapter] = cells
    base = made.get("base", (None,))[0]
    for adapter, cells in made.items():
        deltas = {}
        if base and adapter != "base":
            before, after = {None: stored["base" + "None"]}, {c.seed: stored[c.key] for c in cells}
            deltas = differences(before, after, criteria=Criteria(noise={"rougeL": floor}))
        rows.append(Row("m", "none", adapter, cells, base if adapter != "base" else None, deltas))
    scores = [RowScores(r.name, {c.seed: stored[c.key] for c in r.cells}) for r in rows]
    table = Table("d", "generation", "rougeL", tuple(rows),
                  ties=ties(scores, "rougeL", higher_is_better=True))  # fmt: skip
    run = Run(
        Path("nowhere"), {"name": "s"}, Environment(), tuple(c for m in made.values() for c in m)
    )
    return Leaderboard(run, (table,), objectives or Objectives(), stored)


GAIN = {"base": wave(0.2), "r8": wave(0.4, 3), "r16": wave(0.41, 5)}
CASES = {
    "several seeds": (GAIN, {"seeds": 3}, "ship", "Ship `m · none · r16`."),
    "one seed": (GAIN, {}, "candidate", "one seed"),
    "below a constant answer": (
        GAIN, {"seeds": 3, "trivial": 0.5}, "candidate", "one constant answer scores as well",
    ),
    "test prompts in training": (
        GAIN, {"seeds": 3, "data": {"overlap_near": 50, "test_rows": N}}, "candidate",
        "test prompts resemble training prompts",
    ),
    "nothing gained": (
        {"base": wave(0.4), "r8": wave(0.405, 3)}, {"seeds": 3}, "no gain", "more",
    ),
    "below the noise floor": (
        {"base": wave(0.4), "r8": wave(0.42)}, {"seeds": 3, "floor": 0.1}, "no gain", "noise floor",
    ),
    "the untouched model is best": (
        {"base": wave(0.4), "r8": wave(0.2, 3)}, {"seeds": 3}, "keep", "Keep the untouched model",
    ),
    "the best is untouched and beaten by a constant answer": (
        {"base": wave(0.4), "r8": wave(0.2, 3)}, {"seeds": 3, "trivial": 0.5}, "keep",
        "; but one constant answer scores as well or better.",
    ),
    "all alike": ({"base": [0.0] * N, "r8": [0.0] * N}, {}, "unknown", "told apart"),
    "no baseline": ({"r8": wave(0.4), "r16": wave(0.2)}, {}, "unknown", "no variant has a baseline"),
    "untouched alone": ({"base": wave(0.4)}, {}, "unknown", "only untouched models were run"),
    "over the limit": (
        GAIN, {"memory": dict.fromkeys(GAIN, 900.0), "objectives": Objectives(max_memory_mib=500)},
        "unknown", "within the memory",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("sides", "more", "outcome", "words"), CASES.values(), ids=CASES)
def test_the_outcome_and_its_reason(sides, more, outcome, words):
    made = board(sides, **more)
    found = decide(made, made.tables[0])
    assert found.outcome == outcome, found.headline
    assert words in found.headline
    assert found.record()["outcome"] == outcome


def test_the_gain_is_said_with_its_interval_seeds_and_examples():
    made = board(GAIN, seeds=3, memory=dict.fromkeys(GAIN, 2048.0))
    facts = "; ".join(decide(made, made.tables[0]).facts)
    assert facts.startswith("+0.210 ROUGE-L over its baseline (95% +")
    assert facts.endswith("3 seeds, 60 examples; 2 GiB")


def test_what_is_tied_and_needs_less_memory_is_named_only_beyond_noise():
    for sizes, named in (((900.0, 2000.0), True), ((1999.0, 2000.0), False)):
        made = board(GAIN, seeds=3, memory={"base": 500.0, "r8": sizes[0], "r16": sizes[1]})
        text = " ".join(decide(made, made.tables[0]).more)
        assert ("As good with less memory" in text) == named, text
    assert "`r16` or `r8`" in text
    assert "more examples" in text


@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize("others", [(), ("r16",), ("r16", "r32", "r64")])
def test_the_card_and_the_contrasts_name_one_number_of_examples(others, seeds):
    sides = {"base": wave(0.4), "r8": wave(0.408, 3)}
    sides |= {name: wave(0.399 - k / 500, 3 + k) for k, name in enumerate(others)}
    made = board(sides, seeds=seeds)
    card = re.findall(r"needs (≈ [\d,]+) more", decide(made, made.tables[0]).headline)
    same = [
        each for each in made.along["adapter"].contrasts
        if {each.first, each.second} == {"base", "r8"}
    ]  # fmt: skip
    assert len(card) == len(same) == 1
    assert needs_text(same[0]) == f"{card[0]} more would decide"


def test_what_costs_less_is_said_with_its_other_cost_and_how_many_are_as_good():
    sizes = {"base": 500.0, "r8": 900.0, "r16": 2000.0}
    made = board(GAIN, seeds=3, memory=sizes, latency={"base": 10.0, "r8": 90.0, "r16": 40.0})
    found = decide(made, made.tables[0])
    assert found.more[0] == (
        "As good with less memory: `none · r8`, 900 MiB instead of 1.95 GiB at 90 ms an answer"
        " (as far as 60 examples can tell)."
    )
    assert found.more[1] == (
        "1 other variant gained, and 60 examples show no difference between it and this one, which"
        " has the highest mean."
    )


BARELY = {
    "within the interval of the best": (0.405, (0.40, 0.42), True),
    "below it": (0.39, (0.40, 0.42), False),
    "no interval is known": (0.405, (None, None), False),
}


@pytest.mark.parametrize(("trivial", "ends", "said"), BARELY.values(), ids=BARELY)
def test_a_best_variant_that_a_constant_answer_nearly_reaches_is_doubted(trivial, ends, said):
    made = board(GAIN, seeds=3, trivial=trivial, ends=ends)
    found = decide(made, made.tables[0])
    assert found.outcome == "ship"
    assert any("barely better than one constant answer" in c.short for c in found.cautions) == said


def test_a_category_that_fell_is_listed_though_the_whole_gained():
    after = [0.1] * 20 + [0.5] * 40
    made = board(
        {"base": wave(0.3), "r8": [a + w - 0.3 for a, w in zip(after, wave(0.3, 3), strict=True)]},
        seeds=2,
    )
    fell = decide(made, made.tables[0]).fallen
    assert [(fall.kind, fall.name) for fall in fell.falls] == [("category", "first")]
    assert "category first: −0.2" in fell.falls[0].text
    assert fell.flips.lost == 20


def test_cautions_come_gravest_first_and_say_of_what():
    made = board(GAIN, trivial=0.9)
    found = decide(made, made.tables[0]).cautions
    assert [c.gravity for c in found] == sorted((c.gravity for c in found), reverse=True)
    assert found[0].gravity is Gravity.GRAVE
    assert {c.dataset for c in found} == {"d"}


def test_failed_and_skipped_cells_are_counted_with_their_reason():
    made = board(GAIN)
    first, second, *rest = made.run.cells
    cells = (
        replace(first, status="failed", reason="out of memory"),
        replace(second, status="skipped", reason="needs a GPU"), *rest,
    )  # fmt: skip
    found = run_cautions(replace(made, run=replace(made.run, cells=cells)))
    assert [c.text for c in found] == [
        "1 of 3 cells failed: out of memory.",
        "1 of 3 cells was skipped: needs a GPU (1).",
    ]
