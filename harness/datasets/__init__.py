"""Data sets: rows from anywhere to train and test examples."""

from harness.datasets.example import Example, Splits, example_id

__all__ = ["Example", "Splits", "example_id"]
