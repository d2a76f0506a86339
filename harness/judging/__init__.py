"""Pairwise judging: a model says which of two answers is better, both ways round."""
