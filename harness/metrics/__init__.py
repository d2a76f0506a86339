"""Metrics: a prediction and a reference to a number."""
