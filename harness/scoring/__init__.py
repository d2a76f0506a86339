"""Predictions to scores, scores to values."""
