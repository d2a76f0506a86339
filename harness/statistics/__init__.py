"""Intervals, paired differences, power and verdicts."""

from harness.statistics.combined import (
    Combined,
    Estimate,
    MeanRatio,
    fixed_effect,
    mean_ratio,
    random_effect,
)
from harness.statistics.crossed import CrossedDifference, crossed_difference
from harness.statistics.intervals import (
    bca,
    clustered_share,
    clustered_t,
    clustered_t_p,
    two_proportions,
    wilson,
    wilson_share,
)
from harness.statistics.label_values import LABEL_STATISTICS
from harness.statistics.macro_f1 import (
    CorpusDifference,
    macro_f1_crossed,
    macro_f1_difference,
    macro_f1_influence,
    macro_f1_interval,
    macro_f1_swap,
)
from harness.statistics.multiplicity import holm
from harness.statistics.paired import (
    Difference,
    agresti_min,
    mid_p_mcnemar,
    paired_difference,
    sign_flip,
)
from harness.statistics.power import (
    detectable_mean_gap,
    examples_needed,
    sign_flip_floor,
    sign_flip_units,
)
from harness.statistics.resampling import Interval, repeating
from harness.statistics.verdict import Verdict, tie_groups, verdict

__all__ = [
    "LABEL_STATISTICS",
    "Combined",
    "CorpusDifference",
    "CrossedDifference",
    "Difference",
    "Estimate",
    "Interval",
    "MeanRatio",
    "Verdict",
    "agresti_min",
    "bca",
    "clustered_share",
    "clustered_t",
    "clustered_t_p",
    "crossed_difference",
    "detectable_mean_gap",
    "examples_needed",
    "fixed_effect",
    "holm",
    "macro_f1_crossed",
    "macro_f1_difference",
    "macro_f1_influence",
    "macro_f1_interval",
    "macro_f1_swap",
    "mean_ratio",
    "mid_p_mcnemar",
    "paired_difference",
    "random_effect",
    "repeating",
    "sign_flip",
    "sign_flip_floor",
    "sign_flip_units",
    "tie_groups",
    "two_proportions",
    "verdict",
    "wilson",
    "wilson_share",
]
