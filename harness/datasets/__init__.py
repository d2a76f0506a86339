"""Data sets: rows from anywhere to train and test examples."""

from harness.datasets.example import Example, Splits, Turn, digest
from harness.datasets.registry import dataset
from harness.datasets.table import RawRow

__all__ = ["Example", "RawRow", "Splits", "Turn", "dataset", "digest"]
