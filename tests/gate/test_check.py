import json
from dataclasses import replace

import numpy as np
import pytest

from harness.errors import HarnessError
from harness.gate.baseline import CellSnapshot, Snapshot, load_snapshot, save_baseline
from harness.gate.check import check
from harness.suite.gate_rules import Gate, Rule

LABELS = ("a", "b", "c")


def cell(scores, metric="rougeL", row="m--none--x--d", seed=0, **more):
    ids = [f"e{i:03}" for i in range(len(scores))]
    made = CellSnapshot(
        row, seed, "ok", primary_metric=metric, hardware="here", data_hash="d", prompt_hash="p",
        signatures={metric: "s"},
        values={metric: float(np.mean(scores)) if len(scores) else None},
        examples={"id": ids, "text": [f"{s:.6f}" for s in scores]} if ids else {},
        scores={metric: [float(s) for s in scores]},
    )  # fmt: skip
    return replace(made, **more)


def labelled(gold, predicted, row="m--none--x--labels"):
    hits = [float(g == p) for g, p in zip(gold, predicted, strict=True)]
    made = cell(hits, "accuracy", row, primary_metric="f1_macro", labels=LABELS)
    columns = {"label": list(gold), "predicted_label": list(predicted)}
    return replace(made, examples={**made.examples, **columns}, values={"f1_macro": 0.5})


def snapshot(*cells):
    return Snapshot("s", cells)


def outcome(new, old, **rule):
    rule = {"metric": "primary", **rule}
    news, olds = ([c] if isinstance(c, CellSnapshot) else c for c in (new, old))
    verdict = check(snapshot(*news), snapshot(*olds), Gate(rules=(Rule(**rule),)))
    return verdict.checks[0].outcome, verdict.exit_code


HIGH = np.linspace(0.4, 0.8, 40)
rng = np.random.default_rng(0)
LOW = HIGH - 0.3 + rng.normal(0, 0.02, 40)


def test_a_clear_loss_is_a_regression_and_names_the_examples():
    verdict = check(snapshot(cell(LOW)), snapshot(cell(HIGH)), Gate())
    assert verdict.exit_code == 1
    worst = verdict.checks[0].regressions[0]
    assert worst == f"e{np.argmin(LOW - HIGH):03}"


def test_a_loss_within_the_margin_passes():
    assert outcome(cell(HIGH - 0.01), cell(HIGH), margin=0.05) == ("pass", 0)


def test_the_same_again_passes_and_never_says_no_regression():
    verdict = check(snapshot(cell(HIGH)), snapshot(cell(HIGH)), Gate())
    assert verdict.exit_code == 0
    assert "every paired score is unchanged" in verdict.summary
    noisy = check(snapshot(cell(HIGH + rng.normal(0, 0.05, 40))), snapshot(cell(HIGH)), Gate())
    assert "are excluded" in noisy.summary
    assert "no regression" not in (verdict.summary + noisy.summary).lower()


def test_too_few_examples_to_tell_are_a_warning():
    few, other = [0.5, 0.6, 0.4, 0.7], [0.2, 0.7, 0.5, 0.6]
    assert outcome(cell(other), cell(few), margin=0.01) == ("undecided", 0)


LOST = {n: (cell([0.2] * n), cell([0.5] * n)) for n in range(2, 13)}


@pytest.mark.parametrize("n", [2, 3, 4, 5])
@pytest.mark.parametrize("rule", [{}, {"margin": 0.4}, {"min_examples": 2}])
def test_equal_losses_of_too_few_examples_neither_fail_nor_pass(n, rule):
    assert outcome(*LOST[n], **rule) == ("undecided", 0)
    assert outcome(*reversed(LOST[n]), **rule) == ("undecided", 0)


def test_six_equal_losses_reach_the_level():
    assert outcome(*LOST[6]) == ("regression", 1)
    assert outcome(*LOST[6], margin=0.4) == ("pass", 0)


def test_many_checks_take_more_examples_to_reach_their_level():
    def first(n, rows):
        new, old = (
            [replace(side, row=f"m--none--x--d{k}") for k in range(rows)] for side in LOST[n]
        )
        return outcome(new, old)[0]

    # 0.05 over 20 checks is 1/400: between 2^-8 and 2^-9
    assert (first(9, 20), first(10, 20)) == ("undecided", "regression")
    assert first(9, 10) == "regression"


def test_three_losses_among_unchanged_examples_are_no_regression():
    few = HIGH - np.where(np.arange(40) < 3, 0.3, 0.0)
    assert outcome(cell(few), cell(HIGH))[0] == "pass"


def test_groups_count_as_one_example_each():
    def grouped(made):
        return replace(made, examples={**made.examples, "group": [1 + k // 8 for k in range(40)]})

    assert outcome(grouped(cell(LOW)), grouped(cell(HIGH))) == ("undecided", 0)


def test_wrong_answers_of_too_few_examples_are_undecided():
    new, old = (cell([x] * 5, "numeric_accuracy") for x in (0.0, 1.0))
    assert outcome(new, old) == ("undecided", 0)


def test_the_noise_floor_is_the_largest_of_the_seeds():
    old = [cell(HIGH, seed=s, noise={"rougeL": floor}) for s, floor in enumerate((0.5, 0.0))]
    new = [cell(LOW, seed=s) for s in range(2)]
    assert outcome(new, old)[0] == "pass"


def test_a_seed_that_failed_in_the_baseline_is_named():
    old = [replace(FAILED, seed=0), cell(HIGH, seed=1)]
    new = [cell(HIGH, seed=s) for s in range(2)]
    found = check(snapshot(*new), snapshot(*old), Gate()).checks[0]
    assert (found.outcome, found.severity) == ("not-comparable", "incomparable")
    assert "m--none--x--d--s0 has no result in the baseline: failed" in found.text


def test_an_improvement_can_ask_for_a_new_baseline():
    assert outcome(cell(HIGH), cell(LOW)) == ("improved", 0)
    assert outcome(cell(HIGH), cell(LOW), on_improved="require-update") == ("baseline-outdated", 1)


def test_where_lower_is_better_a_rise_is_the_regression():
    new, old = cell(HIGH, "eval_loss"), cell(LOW, "eval_loss")
    assert outcome(new, old)[0] == "regression"
    assert outcome(old, new)[0] == "improved"


FAILED = CellSnapshot("m--none--x--d", 0, "failed", "it broke")
SKIPPED = CellSnapshot("m--none--x--d", 0, "skipped", "no GPU")
OTHER = cell(HIGH, row="other--none--x--d")


@pytest.mark.parametrize(
    ("new", "old", "rule", "expected"),
    [
        (FAILED, cell(HIGH), {}, ("cell-failed", 4)),
        (FAILED, FAILED, {}, ("known-failure", 0)),
        (SKIPPED, cell(HIGH), {}, ("skipped-cell", 3)),
        (SKIPPED, cell(HIGH), {"on_missing": "warn"}, ("warned", 0)),
        (OTHER, cell(HIGH), {"cells": "m--*"}, ("missing-cell", 3)),
        (cell(HIGH), OTHER, {"cells": "m--*"}, ("new-cell", 0)),
        (cell(HIGH), OTHER, {"cells": "m--*", "on_new": "fail"}, ("new-cell-refused", 3)),
        (cell(HIGH, data_hash="x"), cell(HIGH), {}, ("not-comparable", 3)),
        (cell(HIGH, prompt_hash="x"), cell(HIGH), {}, ("not-comparable", 3)),
        (cell(HIGH, signatures={"rougeL": "t"}), cell(HIGH), {}, ("not-comparable", 3)),
        (cell(HIGH, generation={"do_sample": True}), cell(HIGH), {}, ("not-comparable", 3)),
        (cell(HIGH, seed=1), cell(HIGH), {}, ("not-comparable", 3)),
        (cell([]), cell([]), {}, ("no-examples", 3)),
        (
            cell(HIGH, values={"rougeL": float("nan")}), cell(HIGH),
            {"test": "exact", "metric": "rougeL"}, ("not-a-number", 3),
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_its_own_outcome_and_never_a_pass(new, old, rule, expected):
    assert outcome(new, old, **rule) == expected


@pytest.mark.parametrize("test", ["paired", "exact"])
def test_a_metric_that_neither_side_has_is_refused_by_its_name(test):
    with pytest.raises(HarnessError, match='there is no metric "no_such"'):
        outcome(cell(HIGH), cell(HIGH), test=test, metric="no_such")


def test_exact_is_equality_within_a_tolerance_on_the_same_machine():
    rule = {"test": "exact", "metric": "rougeL"}
    assert outcome(cell(HIGH + 1e-6), cell(HIGH), tolerance=1e-4, **rule) == ("pass", 0)
    assert outcome(cell(HIGH + 1e-3), cell(HIGH), tolerance=1e-4, **rule) == ("regression", 1)
    away = cell(HIGH + 1e-3, hardware="there")
    assert outcome(away, cell(HIGH), tolerance=1e-4, **rule) == ("not-compared", 0)


def test_changed_answers_break_exact_predictions():
    changed = HIGH.copy()
    changed[3] += 0.1
    rule = {"test": "exact", "metric": "predictions"}
    assert outcome(cell(changed), cell(HIGH), **rule) == ("regression", 1)
    assert outcome(cell(changed), cell(HIGH), tolerance=0.05, **rule) == ("pass", 0)


@pytest.mark.parametrize(
    ("metric", "then", "now", "expected"),
    [
        ("train_peak_vram_mib", {}, 1.2, "regression"),
        ("train_peak_vram_mib", {}, 1.05, "pass"),
        ("train_peak_vram_mib", {}, 0.5, "improved"),
        ("ttft_p50_ms", {"reference_ms": 2.0}, 2.0, "pass"),
        ("ttft_p50_ms", {"reference_ms": 1.0}, 2.0, "regression"),
        ("ttft_p50_ms", {"reference_ms": 1.4}, 2.0, "regression"),
        ("ttft_p50_ms", {"reference_ms": 1.6}, 2.0, "undecided"),
        ("ttft_p50_ms", {"reference_ms": 0.6}, 0.8, "undecided"),
        ("ttft_p50_ms", {"reference_ms": 1.6}, 16.0, "regression"),
        ("batch_tokens_per_s", {"reference_ms": 2.0}, 0.4, "undecided"),
        ("batch_tokens_per_s", {"reference_ms": 2.0}, 0.1, "regression"),
        ("batch_tokens_per_s", {"reference_ms": 2.0}, 0.0, "regression"),
        ("train_tokens_per_s", {"reference_ms": 1.0}, 0.5, "regression"),
        ("train_tokens_per_s", {"reference_ms": 3.0}, 0.5, "undecided"),
        ("train_seconds", {"reference_ms": 3.0}, 1.0, "pass"),
        ("batch_tokens_per_s", {"reference_ms": 2.0}, 0.5, "pass"),
        ("batch_tokens_per_s", {"reference_ms": 1.0}, 0.5, "regression"),
    ],
)
def test_memory_is_compared_as_it_is_and_speed_by_the_reference(metric, then, now, expected):
    old = cell(HIGH, values={metric: 100.0, "reference_ms": 1.0})
    new = cell(HIGH, values={metric: 100.0 * now, "reference_ms": 1.0, **then})
    rule = {"metric": metric, "test": "percentage", "tolerance": 10}
    assert outcome(new, old, **rule)[0] == expected
    away = replace(new, hardware="there")
    assert outcome(away, old, **rule)[0] == "not-compared"


@pytest.mark.parametrize(
    ("ratio", "least", "expected"),
    [
        (5.0, 4.8, ("pass", 0)),
        (9.0, 7.9, ("regression", 1)),
        (9.0, 7.8, ("undecided", 0)),
        (1.9, 1.8, ("improved", 0)),
    ],
)
def test_a_latency_is_slower_only_where_every_round_was(ratio, least, expected):
    def timed(ratio, least):
        values = {"latency_ratio": ratio, "latency_ratio_least": least, "reference_ms": 4.0}
        return cell(HIGH, values={"latency_p50_ms": 4 * ratio, **values})

    for metric in ("latency_p50_ms", "latency_ratio"):
        rule = {"metric": metric, "test": "percentage", "tolerance": 60}
        assert outcome(timed(ratio, least), timed(5.0, 4.9), **rule) == expected


def test_a_speed_without_its_reference_is_not_comparable():
    timed = {"latency_p50_ms": 20.0, "latency_ratio": 5.0, "reference_ms": 4.0}
    rule = {"metric": "latency_p50_ms", "test": "percentage", "tolerance": 60}
    older = cell(HIGH, values={"latency_p50_ms": 20.0})
    assert outcome(cell(HIGH, values=timed), older, **rule) == ("not-comparable", 3)
    assert outcome(older, cell(HIGH, values=timed), **rule) == ("not-comparable", 3)


def test_training_is_compared_where_no_latency_is_measured():
    rule = {"metric": "train_seconds", "test": "percentage", "tolerance": 60}
    old, new = (cell(HIGH, values={"train_seconds": seconds}) for seconds in (10.0, 20.0))
    assert outcome(old, old, **rule) == ("pass", 0)
    assert outcome(new, old, **rule) == ("regression", 1)


def test_seeds_are_averaged_before_a_speed_is_doubted():
    def timed(ratio, reference):
        values = {"latency_ratio": ratio, "latency_ratio_least": ratio, "reference_ms": reference}
        return [
            cell(
                HIGH,
                seed=s,
                values={"latency_p50_ms": 1.0, **values, "reference_ms": reference * s},
            )
            for s in (1, 3)
        ]

    rules = (Rule(metric="latency_p50_ms", test="percentage", tolerance=60),)

    def said(new, old):
        return check(snapshot(*new), snapshot(*old), Gate(rules=rules)).checks[0].outcome

    assert said(timed(10.0, 4.0), timed(5.0, 4.0)) == "regression"
    assert said(timed(10.0, 9.0), timed(5.0, 4.0)) == "undecided"


def test_a_static_limit_needs_no_baseline():
    rule = {"metric": "rougeL", "test": "static", "limit": 0.5}
    assert outcome(cell(HIGH), OTHER, cells="m--*", **rule) == ("pass", 0)
    assert outcome(cell(LOW), OTHER, cells="m--*", **rule) == ("regression", 1)


def test_a_rule_that_names_no_row_is_wrong_usage():
    with pytest.raises(HarnessError, match="no row matches"):
        check(
            snapshot(cell(HIGH)), snapshot(cell(HIGH)), Gate(rules=(Rule(metric="x", cells="y"),))
        )


def test_seeds_are_compared_together():
    old = [cell(HIGH + rng.normal(0, 0.02, 40), seed=s) for s in range(3)]
    new = [cell(c.scores["rougeL"] + rng.normal(-0.2, 0.02, 40), seed=c.seed) for c in old]
    verdict = check(snapshot(*new), snapshot(*old), Gate())
    assert len(verdict.checks[0].delta.per_seed) == 3
    assert verdict.exit_code == 1


def test_a_baseline_file_gives_back_what_was_written(tmp_path):
    gold = list("abcabcabca")
    whole = Snapshot("s", (cell(HIGH), labelled(gold, gold)), ({"reason": "r", "revision": "1"},))
    save_baseline(tmp_path / "b.json", whole)
    back = load_snapshot(str(tmp_path / "b.json"), tmp_path)
    assert [c.records() for c in back.cells] == [c.records() for c in whole.cells]
    assert back.history == whole.history
    assert check(back, whole, Gate()).exit_code == 0


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 2}', '{"schema": 1, "cells": [{}]}'])
def test_a_broken_baseline_is_one_clear_error(tmp_path, text):
    (tmp_path / "b.json").write_text(text)
    with pytest.raises(HarnessError, match="baseline"):
        load_snapshot(str(tmp_path / "b.json"), tmp_path)


def simulated(rng, loss=0.0):
    """Two evaluations of one recipe: text, numbers and labels, examples of differing difficulty.

    The second loses ``loss`` in every score's expectation.
    """
    difficulty = rng.random(60)
    text = [np.clip(difficulty + rng.normal(-x, 0.15, 60), 0, 1) for x in (0, loss)]
    right = [(rng.random(60) < np.clip(difficulty - x, 0, 1)).astype(float) for x in (0, loss)]
    gold = rng.choice(LABELS, 60)
    guess = [
        np.where(rng.random(60) < 0.3 + 0.6 * difficulty - x, gold, rng.choice(LABELS, 60))
        for x in (0, loss)
    ]
    return [
        snapshot(
            cell(text[k], row="m--none--x--text"),
            cell(right[k], "numeric_accuracy", "m--none--x--numbers"),
            labelled(gold.tolist(), guess[k].tolist()),
        )
        for k in (0, 1)
    ]


def failures(runs, loss, seed):
    rng = np.random.default_rng(seed)
    gate = Gate(rules=(Rule(metric="primary"),))
    found = 0
    for _ in range(runs):
        old, new = simulated(rng, loss)
        found += check(new, old, gate).exit_code == 1
    return found / runs


def test_at_most_5_percent_of_runs_without_a_change_fail():
    assert failures(500, 0.0, seed=1) <= 0.05


def test_the_gate_finds_a_loss_of_20_points_in_most_runs(record_property):
    power = failures(60, 0.2, seed=2)
    record_property("power at a loss of 0.2 on 60 examples a cell", power)
    assert power >= 0.9


def test_the_verdict_as_json_has_stable_keys():
    from harness.gate.render import as_json

    record = json.loads(as_json(check(snapshot(cell(LOW)), snapshot(cell(HIGH)), Gate())))
    assert set(record) == {"summary", "exit_code", "checks"}
    keys = {"outcome", "row", "metric", "rule", "text", "delta", "regressions"}
    assert set(record["checks"][0]) == keys
