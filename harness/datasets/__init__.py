"""Data sets: rows from anywhere to train and test examples."""

from harness.datasets.example import Example, Splits, Turn, digest

__all__ = ["Example", "Splits", "Turn", "digest"]
