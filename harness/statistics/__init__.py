"""Intervals and paired differences."""

from harness.statistics.intervals import Interval, bca, clustered_t, wilson
from harness.statistics.paired import Difference, paired_difference

__all__ = ["Difference", "Interval", "bca", "clustered_t", "paired_difference", "wilson"]
