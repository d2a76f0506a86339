"""Differences between the values of an axis, against sums made by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from harness.analysis.averaged import averaged_difference
from harness.analysis.contrasts import axis_differences, chosen_values
from harness.analysis.difference import Criteria, difference
from harness.analysis.more_examples import more_examples
from harness.errors import HarnessError
from harness.results.records import Environment, Provenance
from harness.results.result import CellResult, Value
from harness.results.run import Run
from harness.statistics import crossed_difference, holm

LABELS = ("up", "down", "flat")


class Grid:
    """Cells with records, made of numbers."""

    def __init__(self):
        self.cells, self.stored = [], {}

    def add(self, model, quantization, adapter, dataset, seed, scores, *, status="ok", **values):
        key = f"{model}-{quantization}-{adapter}-{dataset}-{seed}"
        gpu = {"gpu": values.pop("gpu", "card"), "cpu": "", "cores": 1}
        measured = tuple(Value(name, value) for name, value in values.items())
        self.cells.append(
            CellResult(
                key, status, model, quantization, adapter, dataset, seed, "f",
                primary_metric="rougeL", values=measured,
                provenance=Provenance(environment=Environment(machine=gpu)),
            )
        )  # fmt: skip
        self.stored[key] = {
            f"{dataset}{i}": {
                "id": f"{dataset}{i}",
                "reference": "an answer",
                "example_prompt": "a question",
                "scores": {"rougeL": float(score)},
            }
            for i, score in enumerate(scores)
        }

    def contrasts(self, axis, **options):
        run = Run(Path(), {"name": "grid"}, Environment(), tuple(self.cells))
        return axis_differences(run, lambda cell: self.stored[cell.key], axis, **options)


@pytest.fixture
def grid():
    return Grid()


def scores(rng, n=40, mean=0.5):
    return np.clip(rng.normal(mean, 0.2, n), 0, 1)


def test_the_mean_over_variants_is_that_of_the_averaged_examples(grid):
    rng = np.random.default_rng(0)
    d = {}
    for model in ("a", "b", "c"):
        low, high = scores(rng), scores(rng, mean=0.6)
        grid.add(model, "none", "r8", "qa", 0, low)
        grid.add(model, "none", "r16", "qa", 0, high)
        d[f"{model}, none"] = high - low
    (found,) = grid.contrasts("adapter").contrasts
    mean = np.mean(list(d.values()), axis=0)
    assert found.delta.delta == pytest.approx(mean.mean())
    assert found.estimate.error == pytest.approx(stats.sem(mean))
    low, high = stats.bootstrap(
        (mean,), np.mean, n_resamples=20_000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert (found.delta.low, found.delta.high) == pytest.approx((low, high), abs=0.004)
    assert dict(zip(found.variants, found.per_variant, strict=True)) == pytest.approx(
        {name: values.mean() for name, values in d.items()}
    )


def test_seeds_are_crossed_with_examples_and_shared_by_variants(grid):
    rng = np.random.default_rng(1)
    gaps = np.zeros((2, 30, 3))
    for v, model in enumerate(("a", "b")):
        for seed in range(3):
            low, high = scores(rng, 30), scores(rng, 30, 0.55)
            gaps[v, :, seed] = high - low
            grid.add(model, "none", "r8", "qa", seed, low)
            grid.add(model, "none", "r16", "qa", seed, high)
    (found,) = grid.contrasts("adapter").contrasts
    expected = crossed_difference(gaps.mean(axis=0))
    assert found.seeds == 3
    assert found.delta.covers == "examples and 3 seeds"
    assert found.delta.per_seed == pytest.approx(expected.per_seed)
    assert found.delta.low <= expected.low + 1e-12
    assert found.delta.high >= expected.high - 1e-12


@pytest.mark.parametrize("adapters", [("base",), ("base", "r8")])
def test_untouched_models_are_not_averaged_with_fine_tuned_ones(grid, adapters):
    rng = np.random.default_rng(2)
    pairs = []
    for adapter in adapters:
        for seed in (None,) if adapter == "base" else (0, 1):
            plain, packed = scores(rng), scores(rng)
            grid.add("a", "none", adapter, "qa", seed, plain)
            grid.add("a", "nf4", adapter, "qa", seed, packed)
            pairs.append((packed - plain).mean())
    (found,) = grid.contrasts("quantization").contrasts
    wanted = pairs[1:] or pairs  # alone, the untouched model is what can be compared
    assert found.delta.delta == pytest.approx(np.mean(wanted))
    assert [*found.left_out.values()] == ([2] if len(pairs) > 1 else [])


def test_what_has_no_partner_is_left_out_and_counted(grid):
    rng = np.random.default_rng(3)
    for model in ("a", "b"):
        for adapter in ("r8", "r16"):
            for seed in (0, 1):
                bad = model == "b" and adapter == "r16"
                grid.add(
                    model, "none", adapter, "qa", seed, scores(rng),
                    status="failed" if bad else "ok",
                )  # fmt: skip
    grid.add("a", "none", "r8", "qa", 2, scores(rng))
    (found,) = grid.contrasts("adapter").contrasts
    assert found.variants == ("a, none",)
    assert found.left_out == {
        "the partner has no result": 2, "the other side lacks the seed": 1,
    }  # fmt: skip


def test_a_seed_that_one_variant_lacks_leaves_a_design_without_gaps(grid):
    rng = np.random.default_rng(4)
    for model, seeds in (("a", (0, 1, 2)), ("b", (0, 1, 2)), ("c", (0,))):
        for adapter in ("r8", "r16"):
            for seed in seeds:
                grid.add(model, "none", adapter, "qa", seed, scores(rng))
    (found,) = grid.contrasts("adapter").contrasts
    assert (found.variants, found.seeds) == (("a, none", "b, none"), 3)
    assert found.left_out == {"other variants lack the seed": 2}


def test_values_without_any_result_are_named_once(grid):
    rng = np.random.default_rng(5)
    for quantization in ("none", "int8", "nf4"):
        grid.add(
            "a", quantization, "base", "qa", None, scores(rng),
            status="skipped" if quantization == "int8" else "ok",
        )  # fmt: skip
    found = grid.contrasts("quantization")
    assert [each.name for each in found.contrasts] == ["nf4 − none"]
    assert found.absent == ("int8",)


def test_other_questions_are_not_compared(grid):
    grid.add("a", "none", "r8", "qa", 0, scores(np.random.default_rng(6)))
    grid.add("a", "none", "r16", "qa", 0, scores(np.random.default_rng(7)))
    for i, record in enumerate(grid.stored["a-none-r16-qa-0"].values()):
        record["example_prompt"] = f"another question {i}"
    (found,) = grid.contrasts("adapter").contrasts
    assert found.delta is None
    assert found.left_out == {"40 questions differ": 2}


def test_holm_is_over_the_contrasts_of_the_axis(grid):
    rng = np.random.default_rng(8)
    for dataset in ("qa", "news"):
        for k, quantization in enumerate(("none", "int8", "nf4")):
            grid.add("a", quantization, "base", dataset, None, scores(rng, mean=0.4 + 0.05 * k))
    found = grid.contrasts("quantization")
    p = [each.delta.p_value for each in found.contrasts]
    p += [each.fixed.p_value for each in found.together]
    expected = holm(p)
    assert found.family == 9
    adjusted = [each.delta.p_adjusted for each in found.contrasts]
    adjusted += [each.fixed.p_adjusted for each in found.together]
    assert adjusted == pytest.approx(expected)
    assert found.together[0].random is None
    assert found.together[0].without_random


def test_data_sets_that_share_a_metric_are_taken_together(grid):
    rng = np.random.default_rng(9)
    for dataset in ("qa", "news", "tax"):
        grid.add("a", "none", "base", dataset, None, scores(rng, mean=0.4))
        grid.add("a", "nf4", "base", dataset, None, scores(rng, mean=0.5))
    found = grid.contrasts("quantization")
    (whole,) = found.together
    means = [each.delta.delta for each in found.contrasts]
    assert whole.datasets == ("qa", "news", "tax")
    assert whole.fixed.delta == whole.random.delta == pytest.approx(np.mean(means))
    assert whole.random.low <= whole.fixed.low
    assert whole.random.p_adjusted >= whole.fixed.p_adjusted


def test_costs_are_paired_ratios_on_one_machine(grid):
    rng = np.random.default_rng(10)
    for model, factor, gpu in (("a", 2.0, "card"), ("b", 8.0, "card"), ("c", 100.0, "other")):
        grid.add(model, "none", "base", "qa", None, scores(rng), latency_p50_ms=10.0, gpu="card")
        grid.add(
            model, "int8", "base", "qa", None, scores(rng), latency_p50_ms=10 * factor, gpu=gpu,
            infer_peak_rss_mib=5.0,
        )  # fmt: skip
    found = grid.contrasts("quantization")
    latency = found.contrasts[0].costs["latency"]
    assert latency.ratio == pytest.approx(4.0)
    assert (latency.n, latency.unit, latency.pairs) == (2, "variants", 2)
    expected = stats.ttest_1samp(np.log([2.0, 8.0]), 0).confidence_interval()
    assert np.log([latency.low, latency.high]) == pytest.approx(tuple(expected))
    assert "memory" not in found.contrasts[0].costs  # one side alone was measured
    assert found.costs["int8 − none"]["latency"] == latency


def labelled(rng, gold, right):
    told = [g if rng.random() < right else rng.choice(LABELS) for g in gold]
    return {
        str(i): {
            "id": str(i), "label": g, "predicted_label": t, "scores": {"accuracy": float(g == t)},
        }
        for i, (g, t) in enumerate(zip(gold, told, strict=True))
    }  # fmt: skip


def test_macro_f1_is_averaged_by_its_pseudo_values():
    rng = np.random.default_rng(11)
    gold = rng.choice(LABELS, 90)
    variants = [[(labelled(rng, gold, 0.5), labelled(rng, gold, 0.6 + 0.1 * k))] for k in range(2)]
    found = averaged_difference("f1_macro", variants, criteria=Criteria(), labels=LABELS)
    singles = [
        difference("f1_macro", {0: b}, {0: a}, labels=LABELS).delta for ((b, a),) in variants
    ]
    assert found.delta.delta == pytest.approx(np.mean(singles))
    assert found.per_variant == pytest.approx(singles)
    # independent sides: the error of the mean of two is about that of one over the root of two
    one = averaged_difference("f1_macro", variants[:1], criteria=Criteria(), labels=LABELS)
    assert found.estimate.error == pytest.approx(one.estimate.error / np.sqrt(2), rel=0.2)
    assert replace(one.delta, detectable=None) == difference(
        "f1_macro", {0: variants[0][0][0]}, {0: variants[0][0][1]}, labels=LABELS
    )


def test_intervals_of_averaged_macro_f1_cover_the_truth():
    rng = np.random.default_rng(5)
    rights = [(0.5, 0.6), (0.4, 0.7)]
    shares = [0.6, 0.3, 0.1]

    def f1(gold, right):
        told = np.where(rng.random(len(gold)) < right, gold, rng.choice(LABELS, len(gold)))
        return f1_score(gold, told, average="macro")

    whole = rng.choice(LABELS, 300_000, p=shares)
    truth = np.mean([f1(whole, after) - f1(whole, before) for before, after in rights])
    inside = 0
    for _ in range(200):
        gold = rng.choice(LABELS, 50, p=shares)
        variants = [[tuple(labelled(rng, gold, right) for right in pair)] for pair in rights]
        found = averaged_difference("f1_macro", variants, criteria=Criteria(), labels=LABELS)
        inside += found.delta.low <= truth <= found.delta.high
    assert 0.91 <= inside / 200 <= 0.99


def simulated(rng, truth, *, binary):
    """Two variants × 24 examples × 3 seeds with effects of examples, trainings and both."""
    n, seeds = 24, 3
    hard = rng.normal(0, 1, n)
    variants = []
    for _ in range(2):
        pairs = []
        for training in rng.normal(0, 0.3, seeds):
            sides = []
            for shift in (0.0, truth + training):
                latent = hard + shift + rng.normal(0, 1, n)
                values = (latent > 0).astype(float) if binary else latent
                sides.append(
                    {
                        str(i): {"id": str(i), "scores": {"m": float(v)}}
                        for i, v in enumerate(values)
                    }
                )
            pairs.append(tuple(sides))
        variants.append(pairs)
    return variants


def test_intervals_over_variants_examples_and_seeds_cover_the_truth():
    rng = np.random.default_rng(12)
    runs, inside = 300, 0
    for _ in range(runs):
        found = averaged_difference("m", simulated(rng, 0.4, binary=False), criteria=Criteria())
        inside += found.delta.low <= 0.4 <= found.delta.high
    # never below 93%; above 95% because three seeds may agree by chance, which is not believed
    assert 0.93 <= inside / runs <= 0.995


def gapped(mean, sd, n=50, **more):
    """A single pair of variants whose scores differ by exactly this mean and spread."""
    gaps = stats.zscore(np.random.default_rng(13).normal(0, 1, n)) * sd + mean
    before = {str(i): {"id": str(i), "scores": {"m": 0.0}} for i in range(n)}
    after = {str(i): {"id": str(i), "scores": {"m": float(g)}} for i, g in enumerate(gaps)}
    criteria = Criteria(directions={"m": True}, **more)
    return averaged_difference("m", [[(before, after)]], criteria=criteria), np.std(gaps, ddof=1)


@pytest.mark.parametrize("comparisons", [1, 3, 10])
def test_more_examples_are_those_that_the_correction_asks_for(comparisons):
    found, sd = gapped(0.1, 0.6)
    z = stats.norm.ppf(1 - 0.025 / comparisons) + stats.norm.ppf(0.8)
    assert found.delta.verdict == "undecided"
    more = more_examples(found.delta, found.spread, comparisons=comparisons)
    assert more == pytest.approx(np.ceil((z * sd / 0.1) ** 2) - 50, abs=1)


NO_NUMBER = {
    "below the noise floor": (0.1, 0.6, {"noise": {"m": 1.0}}),
    "within the margin": (0.1, 0.6, {"margin": 0.2}),
    "decided": (0.5, 0.6, {}),
    "too small a difference for any test": (0.001, 0.6, {}),
}


@pytest.mark.parametrize(("mean", "sd", "more"), NO_NUMBER.values(), ids=NO_NUMBER)
def test_no_number_of_examples_is_named_where_none_would_help(mean, sd, more):
    found, _ = gapped(mean, sd, **more)
    assert more_examples(found.delta, found.spread, margin=more.get("margin", 0.0)) is None


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (["r8", "r16"], ["lora-r8", "lora-r16"]),
        (["lora-r16", "base"], ["lora-r16", "base"]),
    ],
)
def test_values_are_named_in_full_or_by_a_part_of_their_own(grid, wanted, found):
    for adapter in ("base", "lora-r8", "lora-r16"):
        grid.add("a", "none", adapter, "qa", 0, [0.5])
    run = Run(Path(), {"name": "grid"}, Environment(), tuple(grid.cells))
    assert chosen_values(run, "adapter", wanted) == found


@pytest.mark.parametrize(
    ("wanted", "message"),
    [(["r1", "r16"], 'no value "r1"'), (["lora", "base"], "fits several"), (["r8"], "needs two")],
)
def test_values_that_are_not_there_are_refused(grid, wanted, message):
    for adapter in ("base", "lora-r8", "lora-r16"):
        grid.add("a", "none", adapter, "qa", 0, [0.5])
    run = Run(Path(), {"name": "grid"}, Environment(), tuple(grid.cells))
    with pytest.raises(HarnessError, match=message):
        chosen_values(run, "adapter", wanted)
